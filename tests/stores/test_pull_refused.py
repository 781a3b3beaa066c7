"""Pulls that come to nothing: a hub that says no, what is no hub or token or name, a full disk."""

from __future__ import annotations

import shutil

import pytest

from tests.stores.hub import FakeHub
from tests.stores.pulling import REPO, Puller

TOKEN = "hf_averysecrettoken"


def test_a_private_repository(pull: Puller, hub: FakeHub) -> None:
    """HF_TOKEN opens it, goes to the hub alone, and is said nowhere."""
    hub.token = TOKEN
    hint = pull(f"{REPO}:Q8_0").failed(1, "or it is a private one").hint
    assert "HF_TOKEN" in hint
    wrong = pull(f"{REPO}:Q8_0", "--debug", HF_TOKEN="hf_wrongtoken")
    assert wrong.exit_status == 1 and "hf_wrongtoken" not in wrong.stderr
    ran = pull(f"{REPO}:Q8_0", "--debug", HF_TOKEN=TOKEN)
    assert ran.exit_status == 0 and TOKEN not in ran.stderr + ran.text
    [cdn] = [headers for path, headers in hub.requests if path.startswith("/cdn/")]
    assert "authorization" not in cdn


@pytest.mark.parametrize(
    ("answer", "words", "hint"),
    [
        ((403, {"X-Error-Code": "GatedRepo"}), "is gated", "ask for access at http://127.0.0.1"),
        ((404, {"X-Error-Code": "RepoNotFound"}), "knows no repository", "check the name"),
        ((403, {}), "refuses access", "HF_TOKEN"),
        ((429, {"Retry-After": "30"}), "too many requests", "in 30 seconds"),
        ((429, {"Retry-After": "\x1b[31m"}), "too many requests", "try again later"),
        ((500, {}), "answers with an error (500)", "later"),
    ],
)
@pytest.mark.parametrize("where", ["/api/models/", "/resolve/"])
def test_errors(
    pull: Puller,
    hub: FakeHub,
    where: str,
    answer: tuple[int, dict[str, str]],
    words: str,
    hint: str,
) -> None:
    """Each in words that help, for the repository and for a file; no address that is signed is said."""
    hub.answers[where] = answer
    ran = pull(f"{REPO}:Q8_0", "--debug", HF_TOKEN=TOKEN)
    assert ran.exit_status == 1
    assert words in ran.stderr
    assert hint in ran.stderr.splitlines()[-1]
    assert TOKEN not in ran.stderr and "s3cret" not in ran.stderr


def test_nobody_there(pull: Puller) -> None:
    """No hub at all."""
    ran = pull(REPO, HF_ENDPOINT="http://127.0.0.1:9").failed(1, "127.0.0.1:9 can't be reached")
    assert "network" in ran.hint


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://x", "nonsense", "http://[::1", "http://x:99999", "http://u:s3cret@"],
)
def test_an_endpoint_that_is_none(pull: Puller, endpoint: str) -> None:
    """It is said, and nothing is asked."""
    ran = pull(REPO, HF_ENDPOINT=endpoint)
    assert ran.exit_status in (1, 2) and "HF_ENDPOINT" in ran.stderr
    assert "s3cret" not in ran.stderr


@pytest.mark.parametrize("token", ["s3cret\nX: y", "s3cr\u00e9t"])
def test_a_token_that_is_none(pull: Puller, token: str) -> None:
    """It is not sent, and not said."""
    ran = pull(REPO, HF_TOKEN=token).failed(2, "HF_TOKEN: holds characters that no token has")
    assert "s3cr" not in ran.stderr


@pytest.mark.parametrize("name", ["a/../b", "../x", "a", "a/b/c", "/a", "a/b:", "", "a b/c", "a/.b", "a--/c"])
def test_what_is_no_name(pull: Puller, hub: FakeHub, name: str) -> None:
    """It never reaches the hub."""
    pull(name).failed(2, "is no name of a repository")
    assert not hub.requests


def test_no_room(pull: Puller, hub: FakeHub) -> None:
    """The disk is looked at before a byte is fetched."""
    hub.claims_size = 49 * 10**9
    n_files = shutil.disk_usage(pull.cache.parent).free // hub.claims_size + 2
    names = [f"Model-Q8_0-{n:05}-of-{n_files:05}.gguf" for n in range(1, n_files + 1)]
    hub.files[REPO] = dict.fromkeys(names, b"GGUF")
    pull(f"{REPO}:Q8_0").failed(1, "bytes to download, but only")
    assert hub.ranges == []


def test_a_cache_that_can_t_be_written(pull: Puller) -> None:
    """It is named."""
    pull.cache.write_text("a file")
    pull(f"{REPO}:Q8_0").failed(1, "can't write it")
