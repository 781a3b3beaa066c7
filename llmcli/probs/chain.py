"""What each sampler of the chain does to the distribution: who is left, and who was dropped where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Stage
from llmcli.probs.distribution import entropy_bits, log_softmax, stage_probs, top_ids
from llmcli.probs.next_token import Engine, chain_stages
from llmcli.probs.prompt import Prompt
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Survivor:
    """A token with its probability at one stage."""

    id: int
    piece: bytes
    prob: float


@dataclass(frozen=True)
class ChainStage:
    """The distribution after one sampler.

    `kept` tokens are left; `candidates` are the most probable of them. `n_dropped` left at this very stage,
    and had the probability `mass_dropped` just before; `dropped` are the most probable of those.
    """

    name: str
    params: Mapping[str, Any]
    kept: int
    entropy_bits: float
    candidates: tuple[Survivor, ...]
    n_dropped: int
    mass_dropped: float
    dropped: tuple[Survivor, ...]


@dataclass(frozen=True)
class Chain:
    """The model's own distribution as a stage called `logits`, and then the samplers' in their order.

    `rows` are the candidates to follow through all stages: for each its probabilities, 0 where dropped.
    """

    n_prompt_tokens: int
    raw: ChainStage
    stages: tuple[ChainStage, ...]
    rows: tuple[tuple[Survivor, tuple[float, ...]], ...]
    skipped: tuple[str, ...]


def chain(engine: Engine, prompt: Prompt, sampling: SamplingOptions, k: int) -> Chain:
    """Walk the chain that chat would draw from after `prompt`, following the `k` most probable tokens.

    Errors as `next_token`.
    """
    ids = prompt.ids(engine.tokenizer)
    engine.ready(ids)
    stages, skipped = chain_stages(engine, ids, sampling)
    logits = engine.logits().copy()
    begin = Stage("logits", {}, np.arange(len(logits), dtype=np.int32), logits)
    every = [begin, *stages]
    probs = [_spread(stage, len(logits)) for stage in every]
    walked = [
        _stage(stage, now, before, k, engine.tokenizer)
        for stage, now, before in zip(every, probs, [probs[0], *probs], strict=False)
    ]
    raw, followed = walked[0], top_ids(logits, k).tolist()
    # What a sampler moves to the front, as a bias can, is followed as well.
    last = (s.id for s in walked[-1].candidates[:k])
    followed += [i for i in last if i not in followed]
    rows = tuple(
        (Survivor(i, engine.tokenizer.piece(i), float(probs[0][i])), tuple(float(p[i]) for p in probs))
        for i in followed
    )
    return Chain(len(ids), raw, tuple(walked[1:]), rows, skipped)


def _spread(stage: Stage, n_vocab: int) -> NDArray[np.float64]:
    """A stage's probabilities by id, shape (n_vocab,); 0 where dropped."""
    probs = np.zeros(n_vocab)
    probs[stage.ids] = stage_probs(stage)
    return probs


def _stage(
    stage: Stage, now: NDArray[np.float64], before: NDArray[np.float64], k: int, tokenizer: Tokenizer
) -> ChainStage:
    left = np.zeros(len(now), bool)
    left[stage.ids] = True
    gone = np.flatnonzero((before > 0) & ~left)
    order = np.lexsort((stage.ids, -stage.logits))[:k]
    lost = gone[np.lexsort((gone, -before[gone]))][:k]

    def survivor(token_id: int, probs: NDArray[np.float64]) -> Survivor:
        return Survivor(token_id, tokenizer.piece(token_id), float(probs[token_id]))

    return ChainStage(
        name=stage.name,
        params=stage.params,
        kept=len(stage.ids),
        entropy_bits=entropy_bits(log_softmax(stage.logits)),
        candidates=tuple(survivor(i, now) for i in stage.ids[order].tolist()),
        n_dropped=len(gone),
        mass_dropped=float(np.sum(before[gone])),
        dropped=tuple(survivor(i, before) for i in lost.tolist()),
    )
