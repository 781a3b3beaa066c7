"""Engines with what comparing continuations needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from tests.models import make_model


@pytest.fixture
def brancher(tiny_model: Path) -> Iterator[LlamaEngine]:
    """The tiny model, with room for eight branches beside the prompt."""
    with LlamaEngine.load(tiny_model, EngineOptions(threads=1), n_sequences=9) as engine:
        yield engine


@pytest.fixture(scope="session")
def bos_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a vocabulary that asks for a BOS."""
    return make_model(tmp_path_factory.mktemp("models") / "bos.gguf", bos=True)
