"""What tests of a context share: ids, and the logits that a context which never held anything else gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.model import LlamaModel
from llmcli.settings.engine import EngineOptions

TOLERANCE = 2e-3
"""Logits of a deviation of 2.4 that differ by less are equal: sums of other batches round differently."""

ONE_THREAD = EngineOptions(threads=1, cache_type_k="f32", cache_type_v="f32", flash_attn="off")


def fresh_logits(model: LlamaModel, ids: Sequence[int]) -> NDArray[np.float32]:
    """The logits after `ids` in a context that never held anything else."""
    with LlamaContext(model, ONE_THREAD) as context:
        context.ready(ids)
        return np.array(context.logits())


def ids_of(n: int, seed: int = 0) -> list[int]:
    """`n` random ids."""
    return [int(i) for i in np.random.default_rng(seed).integers(0, 480, n)]
