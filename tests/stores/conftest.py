"""What the tests of pulling share: a hub on loopback, and llmcli with a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcli.models import hub as hub_room
from llmcli.models import pull as pulling
from tests.stores.hub import FakeHub
from tests.stores.pulling import REPO, Puller


@pytest.fixture
def hub(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with a repository of three quantizations, a split one, and an image projector.

    Connections to it are given up soon, and tries follow each other at once.
    """
    monkeypatch.setattr(pulling, "PAUSE", 0.0)
    monkeypatch.setattr(hub_room, "PATIENCE", 0.3)
    data = tiny_model.read_bytes()
    names = ["Model-Q8_0.gguf", "Model-Q4_K_S.gguf", "Model-Q5_K_M.gguf", "mmproj-Model-F16.gguf"]
    names += [f"F16/Model-F16-0000{n}-of-00002.gguf" for n in (1, 2)]
    with FakeHub({REPO: {name: data + name.encode() for name in names}}).running() as hub:
        yield hub


@pytest.fixture
def pull(tmp_path: Path, hub: FakeHub) -> Puller:
    """`llmcli models pull`, with a cache of its own."""
    return Puller(tmp_path, hub)
