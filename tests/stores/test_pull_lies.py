"""A hub that says one thing and sends another: nothing of it is kept under any name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.stores.hub import COMMIT, FakeHub
from tests.stores.pulling import REPO, Puller


def test_about_the_hash(pull: Puller, hub: FakeHub) -> None:
    """Nothing is kept under any name."""
    hub.claims_sha256 = "0" * 64
    pull(f"{REPO}:Q8_0").failed(1, "SHA-256 differs")
    assert not pull.names and not pull.halves


@pytest.mark.parametrize("difference", [-1000, 1000])
def test_about_the_size(pull: Puller, hub: FakeHub, difference: int) -> None:
    """More or fewer bytes than stated are no file."""
    hub.claims_size = len(hub.files[REPO]["Model-Q8_0.gguf"]) + difference
    pull(f"{REPO}:Q8_0").failed(1)
    assert pull.names == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"lfs": {"sha256": None, "size": 4, "pointerSize": 1}},
        {"lfs": {"sha256": "0" * 64}},
        {"size": "4"},
        {"size": -4},
        {"size": 4.5},
        {"size": None},
        {"rfilename": 5},
        {"rfilename": "a\nb.gguf"},
        {"rfilename": "a\0.gguf"},
        {"rfilename": "a-00001-of-00003.gguf"},
    ],
    ids=str,
)
def test_about_what_a_file_is(pull: Puller, hub: FakeHub, wrong: dict[str, Any]) -> None:
    """Such a file is none, and nobody's bug but the hub's."""
    lfs = {"sha256": "0" * 64, "size": 4, "pointerSize": 1}
    sibling = {"rfilename": "m.gguf", "size": 4, "blobId": "2" * 40, "lfs": lfs} | wrong
    hub.body = json.dumps({"id": "o/r", "sha": COMMIT, "siblings": [sibling]}).encode()
    ran = pull("o/r")
    assert ran.exit_status == 1
    assert "holds no GGUF file" in ran.error or "does not answer as a Hugging Face hub" in ran.error


@pytest.mark.parametrize("body", [b'{"id": "o/r", "sha": 5}', b"[" * 100_000, b"[1]", b""], ids=len)
def test_about_all_of_it(pull: Puller, hub: FakeHub, body: bytes) -> None:
    """What is no description of a repository is the error of whatever answers there."""
    hub.body = body
    pull("o/r").failed(1, "does not answer as a Hugging Face hub")


def test_a_name_that_the_hub_allows_nobody(pull: Puller) -> None:
    """It is the name's error."""
    pull("o/r.git").failed(1, "o/r.git is no name that a repository may have")


@pytest.mark.parametrize("name", ["../../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "..\\evil.gguf"])
def test_about_names(pull: Puller, hub: FakeHub, name: str) -> None:
    """A file's name leads nowhere outside of the repository."""
    hub.files["o/r"] = {name: b"GGUF"}
    pull("o/r").failed(1, "holds no GGUF file")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id": "o/r", "sha": "../.."}', b"7"])
def test_about_being_a_hub(pull: Puller, hub: FakeHub, body: bytes) -> None:
    """A captive portal, say."""
    hub.body = body
    assert "HF_ENDPOINT" in pull("o/r").failed(1, "does not answer as a Hugging Face hub").hint
