"""The next token after a prompt: the report that `llmcli probs` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Generator, Logits, Stage
from llmcli.probs.distribution import Candidate, Distribution, check_logits, entropy_bits, log_softmax
from llmcli.probs.prompt import Prompt, continuation
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import Tokenizer


class Engine(Generator, Logits, Protocol):
    """What a report needs: raw logits, and the sampler chain that would draw from them."""


@dataclass(frozen=True)
class Asked:
    """A text that the user asked about: its first token, and all its tokens where there are several."""

    text: str
    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    candidate: Candidate
    rejoined: bool
    """Whether writing the text behind the prompt changes the prompt's own last token."""


@dataclass(frozen=True)
class NextToken:
    """What the model was about to say.

    `n_90` is how many of the most probable tokens make up 90 %; `chain` names the samplers that lie between
    `prob` and `sampled_prob`, `skipped` those left out because they are random themselves.
    """

    n_prompt_tokens: int
    entropy_bits: float
    n_90: int
    top: tuple[Candidate, ...]
    asked: tuple[Asked, ...]
    chain: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class AtTemperature:
    """The candidates of a report at one temperature, before any other sampler: `probs` in the same order."""

    temp: float
    entropy_bits: float
    probs: tuple[float, ...]


def next_token(
    engine: Engine, prompt: Prompt, sampling: SamplingOptions, k: int, asked: Sequence[str] = ()
) -> NextToken:
    """The distribution of the token after `prompt`: its `k` most probable tokens, and those asked for.

    Raises InputError for a prompt or an asked text without tokens, WindowFullError for one too long.
    """
    tokenizer = engine.tokenizer
    ids = prompt.ids(tokenizer)
    engine.ready(ids)
    stages, skipped = chain_stages(engine, ids, sampling)
    distribution = Distribution.of(engine.logits(), stages)
    return NextToken(
        n_prompt_tokens=len(ids),
        entropy_bits=distribution.entropy_bits,
        n_90=distribution.size_of(0.9),
        top=tuple(distribution.top(k, tokenizer)),
        asked=tuple(_ask(text, prompt, distribution, tokenizer) for text in asked),
        chain=tuple(stage.name for stage in stages),
        skipped=skipped,
    )


def at_temperatures(engine: Logits, report: NextToken, temps: Sequence[float]) -> tuple[AtTemperature, ...]:
    """What each temperature makes of a report's candidates; `engine` still has its logits."""
    ids = [c.id for c in (*report.top, *(asked.candidate for asked in report.asked))]
    return tuple(_at(engine.logits(), temp, ids) for temp in temps)


def chain_stages(
    engine: Engine,
    ids: Sequence[int],
    sampling: SamplingOptions,
    logits: NDArray[np.float32] | None = None,
) -> tuple[list[Stage], tuple[str, ...]]:
    """The stages of the sampler chain that chat would draw from after `ids`, and the samplers left out.

    They walk the engine's current distribution, or that of the `logits` given.
    """
    check_logits(engine.logits() if logits is None else logits)  # llama.cpp's samplers do not
    sampler = engine.sampler(sampling, ids)
    try:
        return sampler.stages(logits), sampler.skipped
    finally:
        sampler.close()


def _at(logits: NDArray[np.float32], temp: float, ids: Sequence[int]) -> AtTemperature:
    if temp == 0:
        best = int(np.argmax(logits))
        return AtTemperature(temp, 0.0, tuple(float(i == best) for i in ids))
    # In float64 before the division: a low temperature leaves the range of 32 bits.
    logprobs = log_softmax(logits.astype(np.float64) / temp)
    return AtTemperature(temp, entropy_bits(logprobs), tuple(np.exp(logprobs[list(ids)]).tolist()))


def _ask(text: str, prompt: Prompt, distribution: Distribution, tokenizer: Tokenizer) -> Asked:
    found = continuation(prompt, text, tokenizer)
    return Asked(
        text,
        found.ids,
        tuple(map(tokenizer.piece, found.ids)),
        distribution.candidate(found.ids[0], tokenizer),
        found.rejoined,
    )
