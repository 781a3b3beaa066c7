"""llmcli, ready to run on the tiny model, and its REPL on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.terminal import Terminal
from tests.models import make_model
from tests.repl.screen import YES, Open, at_prompt


@pytest.fixture
def llmcli(tiny_model: Path, tmp_path: Path) -> Program:
    """llmcli with the tiny model in LLMCLI_MODEL and a home of its own."""
    return Program(tmp_path, tiny_model)


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a window of 65,536: to fill it takes many seconds, as does an endless reply."""
    return make_model(tmp_path_factory.mktemp("models") / "wide.gguf", context=65536)


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL and waits for its prompt; it is gone after the test."""
    with ExitStack() as stack:

        def chat(*args: object, says: tuple[str, ...] = YES, env: dict[str, str] | None = None) -> Terminal:
            terminal = stack.enter_context(Terminal(llmcli, "chat", *says, *args, env=env))
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat
