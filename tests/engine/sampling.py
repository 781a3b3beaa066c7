"""A prompt, sampling options and replies, for the tests of the sampler chain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.sampling import SamplingOptions

PROMPT = [481, 84, 82, 297, 198, 64, 64, 65]

OFF: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temp": 1.0}
"""Every sampler off: the plain distribution is drawn from."""

ALL: dict[str, Any] = {
    "logit_bias": ((3, 1.0),),
    "repeat_penalty": 1.1,
    "dry_multiplier": 0.8,
    "top_nsigma": 3.0,
    "top_k": 100,
    "typical": 0.99,
    "top_p": 0.98,
    "min_p": 0.001,
    "xtc_probability": 0.5,
    "temp": 0.7,
}
"""Every sampler on."""


def stage_names(engine: LlamaEngine, options: SamplingOptions) -> list[str]:
    """The stages of the chain that the options make."""
    return [stage.name for stage in engine.sampler(options).stages()]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The textbook's, in float64."""
    wide: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max())
    wide /= wide.sum()
    return wide


def reply_of(engine: LlamaEngine, options: SamplingOptions, n: int = 40) -> list[int]:
    """Up to `n` tokens written after PROMPT, the end of the reply left out."""
    engine.ready(PROMPT)
    sampler = engine.sampler(options, PROMPT)
    drawn: list[int] = []
    while len(drawn) < n and not engine.ends_reply(token_id := sampler.sample()):
        drawn.append(token_id)
        engine.feed(token_id)
    return drawn


def text_of(engine: LlamaEngine, ids: list[int]) -> str:
    """What the ids say."""
    return b"".join(map(engine.tokenizer.piece, ids)).decode("utf-8", "replace")
