"""llmcli, ready to run on the tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.models import make_model


@pytest.fixture
def llmcli(tiny_model: Path, tmp_path: Path) -> Program:
    """llmcli with the tiny model in LLMCLI_MODEL and a home of its own."""
    return Program(tmp_path, tiny_model)


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a window of 65,536: to fill it takes many seconds, as does an endless reply."""
    return make_model(tmp_path_factory.mktemp("models") / "wide.gguf", context=65536)
