"""Which model is used: the flag, the environment, or the one that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.errors import UsageError
from llmcli.settings.model import BUNDLED_FILE, ModelChoice, choose_model


@pytest.mark.parametrize(
    ("flag", "environ", "expected"),
    [
        ("a.gguf", {}, ModelChoice(Path("a.gguf"))),
        ("a.gguf", {"LLMCLI_MODEL": "b.gguf"}, ModelChoice(Path("a.gguf"))),
        (None, {"LLMCLI_MODEL": "b.gguf"}, ModelChoice(Path("b.gguf"))),
        ("tiny", {"LLMCLI_MODEL": "b.gguf"}, ModelChoice(BUNDLED_FILE)),
        (None, {"LLMCLI_MODEL": "tiny"}, ModelChoice(BUNDLED_FILE)),
        (None, {"LLMCLI_MODEL": ""}, ModelChoice(BUNDLED_FILE, by_default=True)),
        (None, {}, ModelChoice(BUNDLED_FILE, by_default=True)),
    ],
)
def test_which_model(flag: str | None, environ: dict[str, str], expected: ModelChoice) -> None:
    """The flag comes before the environment, and that before the bundled model."""
    assert choose_model(flag, environ) == expected


def test_a_file_named_tiny_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path comes before a name; a folder is no model and stands in no name's way."""
    monkeypatch.chdir(tmp_path)
    Path("tiny").mkdir()
    assert choose_model("tiny", {}) == ModelChoice(BUNDLED_FILE)
    Path("tiny").rmdir()
    Path("tiny").touch()
    assert choose_model("tiny", {}) == ModelChoice(Path("tiny"))


def test_an_empty_name_is_none() -> None:
    """`-m "$MODEL"` with an unset variable must not answer with another model."""
    with pytest.raises(UsageError, match="no model named") as caught:
        choose_model("", {})
    assert "tiny" in caught.value.hint
