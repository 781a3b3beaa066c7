"""llmcli as it pulls from a hub on loopback, for the tests of `models pull` and `models rm`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import Program, Ran
from tests.stores.hub import FakeHub

REPO = "someone/Model-GGUF"


class Puller:
    """llmcli with that hub."""

    def __init__(self, home: Path, hub: FakeHub) -> None:
        self.program = Program(home)
        self.hub = hub
        self.cache = home / "hub"

    @property
    def environ(self) -> dict[str, str]:
        """Where the hub and its cache are."""
        return {
            "HF_ENDPOINT": self.hub.address,
            "HF_HUB_CACHE": str(self.cache),
        }

    def __call__(self, *args: str, command: str = "pull", **environ: str) -> Ran:
        """Run `llmcli models pull ARGS`."""
        return self.program("models", command, *args, env=self.environ | environ)

    @property
    def halves(self) -> list[Path]:
        """Half downloads in the cache."""
        return list(self.cache.rglob("*.incomplete"))

    @property
    def names(self) -> list[str]:
        """Files under their own names in the cache."""
        return sorted(path.name for path in self.cache.rglob("*.gguf"))
