"""The window that `-c auto` takes: the model's own, within memory and a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.engine.llama import new_context
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.machine import cgroup_memory
from tests.models import make_model


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained for a window of 65,536."""
    return make_model(tmp_path_factory.mktemp("models") / "wide.gguf", context=65536)


def test_no_more_than_16384(wide: Path) -> None:
    """A larger window only where it is asked for."""
    with LlamaModel(wide) as model, LlamaContext(model) as context:
        assert context.size == 16384


def test_no_more_than_half_of_free_memory(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short, the window is halved until it takes no more than that."""
    with LlamaModel(wide) as model:
        monkeypatch.setattr(new_context, "memory", lambda: (2 * 4096 * model.kv_bytes_per_token(),) * 2)
        with LlamaContext(model) as context:
            assert context.size == 4096


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("memory.max", "1073741824\n", 1 << 30),
        ("memory.max", "max\n", 0),
        ("memory/memory.limit_in_bytes", "1048576\n", 1 << 20),
        ("other", "5\n", 0),
    ],
)
def test_what_a_cgroup_allows(tmp_path: Path, name: str, text: str, allowed: int) -> None:
    """Of version 2 and 1; none where it says so or says nothing."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert cgroup_memory(tmp_path) == allowed
