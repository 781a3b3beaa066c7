"""What files of models said is remembered as long as they are the same, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmcli.errors import GgufError
from llmcli.gguf.summary import Summary, summarize
from llmcli.models.remembered import Remembered


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A file of its own, which can be changed."""
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_model.read_bytes())
    return path


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Where summaries are kept."""
    return tmp_path / "cache" / "models.json"


def listed(memory: Path, *models: Path) -> list[Summary]:
    """What one list finds."""
    remembered = Remembered(memory)
    found = [remembered.summary(model, to_the_end=True) for model in models]
    remembered.save()
    return found


def spoil(model: Path, *, seconds_later: int = 0) -> None:
    """Make it a file of the same size that is no model, changed so much later."""
    there = model.stat()
    model.write_bytes(b"x" * there.st_size)
    os.utime(model, ns=(there.st_atime_ns, there.st_mtime_ns + seconds_later * 10**9))


def test_a_file_is_read_once(model: Path, memory: Path) -> None:
    """As long as its size and time are the same, it is not read again."""
    [first] = listed(memory, model)
    assert first == summarize(model, to_the_end=True)
    spoil(model)
    assert listed(memory, model) == [first]


def test_a_changed_file_is_read_again(model: Path, memory: Path) -> None:
    """A second later is enough."""
    listed(memory, model)
    spoil(model, seconds_later=1)
    with pytest.raises(GgufError):
        listed(memory, model)


def test_a_beginning_is_no_whole_file(model: Path, memory: Path) -> None:
    """Who asks for the end is not answered by who looked at the beginning."""
    remembered = Remembered(memory)
    remembered.summary(model, to_the_end=False)
    remembered.save()
    spoil(model)
    with pytest.raises(GgufError):
        listed(memory, model)


def test_what_is_not_asked_for_is_forgotten(model: Path, memory: Path, tiny_model: Path) -> None:
    """The memory grows no larger than the list."""
    listed(memory, model, tiny_model)
    size = memory.stat().st_size
    listed(memory, tiny_model)
    assert memory.stat().st_size < size


@pytest.mark.parametrize("content", [b"", b"[]", b"\0" * 32 + b"[1, {}]"])
def test_a_damaged_memory_is_none(model: Path, memory: Path, content: bytes) -> None:
    """It is written anew."""
    expected = listed(memory, model)
    memory.write_bytes(content)
    assert listed(memory, model) == expected
    spoil(model)
    assert listed(memory, model) == expected


def test_a_memory_that_can_t_be_written(model: Path, tmp_path: Path) -> None:
    """Changes nothing."""
    assert listed(model / "models.json", model) == [summarize(model, to_the_end=True)]
