"""Connections to the hub that break, and what is kept of a download."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal
from tests.stores.hub import FakeHub
from tests.stores.pulling import REPO, Puller


def test_it_breaks_off_and_goes_on(pull: Puller, hub: FakeHub) -> None:
    """Within one run, from where it broke off, as often as it takes."""
    hub.breaks_off_after = 200_000
    pull(f"{REPO}:Q8_0").succeeded()
    assert hub.ranges[:3] == ["", "bytes=200000-", "bytes=400000-"]
    assert pull.names == ["Model-Q8_0.gguf"]


@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_the_next_run_goes_on(pull: Puller, hub: FakeHub, ignores_ranges: bool) -> None:
    """What came before is kept, under no name that a model has; a hub without ranges sends all again."""
    hub.stalls_at = 200_000
    pull(f"{REPO}:Q8_0").failed(1, "does not answer")
    assert pull.names == []
    [half] = pull.halves
    assert half.stat().st_size == 200_000
    hub.stalls_at, hub.ignores_ranges = None, ignores_ranges
    ran = pull(f"{REPO}:Q8_0", "--json").succeeded()
    assert hub.ranges[-1] == "bytes=200000-"
    assert pull.halves == [] and pull.names == ["Model-Q8_0.gguf"]
    downloaded = ran.json["size"] - (0 if ignores_ranges else 200_000)
    assert ran.json["downloaded"] == downloaded


def test_a_half_that_is_wrong(pull: Puller, hub: FakeHub) -> None:
    """Is found out by its hash, and not kept."""
    pull(f"{REPO}:Q8_0").succeeded()
    [blob] = (pull.cache / "models--someone--Model-GGUF/blobs").iterdir()
    blob.with_name(f"{blob.name}.incomplete").write_bytes(b"wrong" * 1000)
    blob.unlink()
    pull(f"{REPO}:Q8_0").failed(1, "SHA-256 differs")
    assert pull.halves == []
    pull(f"{REPO}:Q8_0").succeeded()


def test_ctrl_c(pull: Puller, hub: FakeHub) -> None:
    """It stops at once, keeps what came, and says that it can go on."""
    hub.stalls_at = 200_000
    with Terminal(pull.program, "models", "pull", f"{REPO}:Q8_0", env=pull.environ) as terminal:
        terminal.waits(lambda: bool(pull.halves and pull.halves[0].stat().st_size), "bytes")
        terminal.interrupt()
        assert terminal.ends() == 130, terminal.shown
        assert "the same command goes on from here" in terminal.shown
    assert pull.halves
