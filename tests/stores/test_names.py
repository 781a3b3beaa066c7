"""From what a user types to one model: its name, a part of it, a path, an alias."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.errors import ModelError
from llmcli.models.found import Found
from llmcli.models.names import choose, is_path, locate
from llmcli.settings.model import BUNDLED_FILE

NAMES = [
    "tiny",
    "llama3.2:1b",
    "llama3.2:latest",
    "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
    "bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0",
    "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M",
]
MODELS = [Found(name, "test", (Path(f"/m/{number}.gguf"),), 1) for number, name in enumerate(NAMES)]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("llama3.2:1b", "llama3.2:1b"),
        ("LLAMA3.2:1B", "llama3.2:1b"),
        ("llama3.2", "llama3.2:latest"),
        ("gemma", "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"),
        ("instruct-gguf:q8", "bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0"),
        ("tin", "tiny"),
    ],
)
def test_a_name_or_a_unique_part_of_it(reference: str, name: str) -> None:
    """Upper and lower case are one; no tag means `latest` where there is one."""
    assert choose(reference, MODELS).name == name


def test_a_name_that_two_programs_have() -> None:
    """The first in the order of the sources is taken."""
    again = Found("tiny", "other", (Path("/other.gguf"),), 1)
    assert choose("tiny", [*MODELS, again]) is MODELS[0]


def test_a_part_that_fits_several() -> None:
    """All that it fits are listed."""
    with pytest.raises(ModelError, match="'1B-Instruct' fits 2 models: ") as caught:
        choose("1B-Instruct", MODELS)
    assert "GGUF:Q4_K_M, bartowski/" in caught.value.message
    assert caught.value.hint == "give more of the name"


def test_a_part_that_fits_many() -> None:
    """Five are shown."""
    many = [Found(f"model-{n}", "test", (Path(f"/{n}.gguf"),), 1) for n in range(20)]
    with pytest.raises(ModelError, match=r"fits 20 models: model-0, .*model-4, and 15 more$"):
        choose("model", many)


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("lama32:1b", "nearest: llama3.2:1b"),
        ("bartowski/Llama-3.2-1B-Instruct-GGUF:Q5_K_M", "GGUF:Q4_K_M, "),
        ("owner/repo", "to download it: llmcli models pull owner/repo; "),
        ("hf.co/owner/repo:Q4_0", "to download it: llmcli models pull owner/repo:Q4_0; "),
        ("no-such-thing-at-all", "'llmcli models list' shows all"),
    ],
)
def test_an_unknown_name(reference: str, hint: str) -> None:
    """The nearest names, and for a name of the hub the way to get it."""
    with pytest.raises(ModelError, match="no model called") as caught:
        choose(reference, MODELS)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "reference", ["a.gguf", "/a", "./a", "../a", "~/a", "..", "a/../b", "..\\a", "C:\\a", "a\0b", "B.GGUF"]
)
def test_what_can_only_be_a_path(reference: str) -> None:
    """It is not looked up, so that a missing file is called a missing file."""
    assert is_path(reference)
    assert locate(reference, {}) == Path(reference)


def test_a_file_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies there under that name is meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").touch()
    assert locate("tiny", {}) == Path("tiny")
    (tmp_path / "tiny").unlink()
    assert locate("tiny", {}) == BUNDLED_FILE
