"""`llmcli models rm`: what llmcli pulled goes, what is somebody else's stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.stores.places import hub_model
from tests.stores.pulling import REPO, Puller


def test_what_was_pulled(pull: Puller) -> None:
    """It goes, with the folders that are empty then; what other programs put there stays."""
    pull(f"{REPO}:Q8_0").succeeded()
    pull(f"{REPO}:F16").succeeded()
    ran = pull(f"{REPO}:F16", "--yes", command="rm").succeeded()
    assert "removed" in ran.stderr
    assert pull.names == ["Model-Q8_0.gguf"]
    pull("q8", "--yes", command="rm").succeeded()
    assert pull.names == []
    assert not list(pull.cache.glob("models--*/blobs/*"))


def test_somebody_else_s(pull: Puller, tiny_model: Path) -> None:
    """It stays, and the error says who removes it."""
    hub_model(pull.cache, "o/r", {"m-Q8_0.gguf": tiny_model})
    assert "hf cache" in pull("o/r", "--yes", command="rm").failed(1, "was not pulled by llmcli").hint
    assert pull.names == ["m-Q8_0.gguf"]
    pull("tiny", "--yes", command="rm").failed(1, "was not pulled by llmcli")


def test_links_to_somebody_else_s(pull: Puller, tiny_model: Path) -> None:
    """A link in llmcli's own folder goes, what it leads to stays; so does all behind a folder's link."""
    theirs = pull.cache.parent / "theirs"
    kept = theirs / "kept.gguf"
    theirs.mkdir()
    shutil.copyfile(tiny_model, kept)
    own = pull.cache.parent / "data/models"
    own.mkdir(parents=True)
    (own / "one.gguf").symlink_to(kept)
    (own / "all").symlink_to(theirs)
    assert "removed one: 0 B are free" in pull("one", "--yes", command="rm").succeeded().stderr
    pull("kept", "--yes", command="rm").failed(1, "was not pulled by llmcli")
    assert kept.exists() and list(own.iterdir()) == [own / "all"]


def test_nobody_to_ask(pull: Puller) -> None:
    """Without a terminal it needs --yes."""
    pull(f"{REPO}:Q8_0").succeeded()
    pull("q8", command="rm").failed(2, "nobody is there to be asked")
    assert pull.names == ["Model-Q8_0.gguf"]


@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("", 1), ("n", 1)])
def test_asked(pull: Puller, answer: str, left: int) -> None:
    """At a terminal only a yes is one."""
    pull(f"{REPO}:Q8_0").succeeded()
    with Terminal(pull.program, "models", "rm", "q8", env=pull.environ) as terminal:
        terminal.sees("[y/N]")
        terminal.line(answer)
        assert terminal.ends() == 0
    assert len(pull.names) == left
