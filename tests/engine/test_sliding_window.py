"""Models with a sliding window: llama.cpp overwrites what has left the window, and does not say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.model import LlamaModel
from llmcli.settings.engine import EngineOptions
from tests.models import make_model

OPTIONS = EngineOptions(threads=1, ctx_size=4096, flash_attn="off", cache_type_k="f32", cache_type_v="f32")
TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    """A model whose layers see 64 tokens back, every other one."""
    path: Path = tmp_path_factory.mktemp("models") / "window.gguf"
    with LlamaModel(make_model(path, window=64, context=4096), OPTIONS) as model:
        yield model


@pytest.mark.parametrize("kept", [2990, 2900, 2000, 1000, 10])
def test_stepping_back_gives_the_logits_of_a_fresh_context(model: LlamaModel, kept: int) -> None:
    """However far back: what is missing is evaluated again instead of being left out in silence."""
    ids = np.random.default_rng(1).integers(0, 480, 3000).tolist()
    wanted = [*ids[:kept], 5, 6, 7]
    with LlamaContext(model, OPTIONS) as warm, LlamaContext(model, OPTIONS) as cold:
        warm.ready(ids)
        evaluated = warm.ready(wanted)
        cold.ready(wanted)
        assert np.allclose(warm.logits(), cold.logits(), atol=TOLERANCE)
        assert evaluated in (3, len(wanted))
        assert list(warm.cached) == wanted


def test_going_on_costs_only_what_is_new(model: LlamaModel) -> None:
    """A conversation that only grows never steps back."""
    ids = np.random.default_rng(1).integers(0, 480, 3000).tolist()
    with LlamaContext(model, OPTIONS) as context:
        context.ready(ids)
        assert context.ready([*ids, 1, 2, 3]) == 3
