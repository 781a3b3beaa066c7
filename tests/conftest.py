"""What most tests run on: the tiny model, an engine on it, and the folder of shared test data."""

from __future__ import annotations

import compileall
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmcli
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from tests.models import make_model

SHARED = Path(os.environ.get("LLMCLI_TEST_DATA") or Path(__file__).parents[2] / "shared")
"""Real models and vocabularies, which are no part of the project."""


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The program is compiled before any test: on a full disk Python would leave half a .pyc behind."""
    compileall.compile_dir(Path(llmcli.__file__).parent, quiet=2)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with ChatML tokens and template, a window of 512, and no BOS; made once a run."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    """A fresh engine on the tiny model."""
    with LlamaEngine.load(tiny_model, EngineOptions(threads=1)) as engine:
        yield engine


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data; the test is skipped where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared test data")
    return SHARED


@pytest.fixture(scope="session")
def stories(shared: Path) -> Path:
    """A small trained model with a SentencePiece vocabulary."""
    path = shared / "models" / "stories260K.gguf"
    if not path.is_file():
        pytest.skip("needs the shared stories model")
    return path


@pytest.fixture(scope="session")
def vocab_files(shared: Path) -> list[Path]:
    """Real vocabularies without weights."""
    paths = sorted(shared.glob("vocabs/*.gguf"))
    if not paths:
        pytest.skip("needs the shared vocabularies")
    return paths
