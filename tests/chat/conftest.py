"""What the tests of conversations share: conversations with the tiny model, a file of sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcli.chat.conversation import Conversation
from llmcli.chat.store import Store
from llmcli.chat.template import ChatTemplate
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions
from tests.chat.crowding import SAMPLING
from tests.chat.talking import LETTERS, Talk
from tests.models import CHATML


@pytest.fixture
def abort() -> Iterator[AbortFlag]:
    """A flag that has taken over SIGINT."""
    with AbortFlag().installed() as flag:
        yield flag


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where the file of sessions will be, in a folder that is not there yet."""
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def store(store_path: Path) -> Iterator[Store]:
    """A file of sessions."""
    with Store(store_path) as store:
        yield store


@pytest.fixture
def talk(tiny_model: Path, abort: AbortFlag) -> Iterator[Talk]:
    """Makes conversations with the tiny model, each on an engine of its own."""
    engines = []

    def make(sampling: SamplingOptions = LETTERS, template: str = CHATML) -> Conversation:
        engine = LlamaEngine.load(tiny_model, EngineOptions(threads=1), abort=abort)
        engines.append(engine)
        compiled = ChatTemplate.from_source(template, name="test", bos="", eos="")
        return Conversation(engine, compiled, sampling, abort)

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def crowded(tiny_model: Path) -> Iterator[Talk]:
    """Makes conversations with a policy for a full window, each on an engine of its own."""
    engines = []

    def make(
        policy: str = "drop",
        refill: str = "auto",
        sampling: SamplingOptions = SAMPLING,
        model: Path = tiny_model,
        template: str = CHATML,
        ctx_size: int | None = None,
        **more: int,
    ) -> Conversation:
        engine = LlamaEngine.load(model, EngineOptions(threads=1, ctx_size=ctx_size))
        engines.append(engine)
        compiled = ChatTemplate.from_source(template, name="test", bos="", eos="")
        options = WindowOptions(overflow=policy, refill=refill, **more)
        return Conversation(engine, compiled, sampling, AbortFlag(), window_options=options)

    yield make
    for engine in engines:
        engine.close()
