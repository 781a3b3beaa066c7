"""What tests of contexts and of the sampler chain run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.settings.engine import EngineOptions
from tests.engine.sampling import PROMPT


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> Iterator[LlamaEngine]:
    """An engine with the prompt evaluated, for tests that only look at its logits."""
    with LlamaEngine.load(tiny_model, EngineOptions(threads=1)) as engine:
        engine.ready(PROMPT)
        yield engine


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Iterator[LlamaModel]:
    """The tiny model, loaded once."""
    with LlamaModel(tiny_model) as model:
        yield model
