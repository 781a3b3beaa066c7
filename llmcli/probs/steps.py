"""The loop, slowly: predict, choose, append, repeat; each step with what else it might have been."""

from __future__ import annotations

from collections.abc import Generator as Events
from dataclasses import dataclass, replace

from llmcli.probs.distribution import Candidate, Distribution, check_logits
from llmcli.probs.next_token import Engine
from llmcli.probs.prompt import Prompt
from llmcli.settings.sampling import SamplingOptions

PICKS = ("greedy", "sample")


@dataclass(frozen=True)
class Step:
    """One turn of the loop; `ends`: with the chosen token the model says that it has finished."""

    chosen: Candidate
    top: tuple[Candidate, ...]
    entropy_bits: float
    ends: bool


@dataclass(frozen=True)
class Begun:
    """The prompt is in the cache, and the loop begins."""

    n_prompt_tokens: int
    seed: int
    skipped: tuple[str, ...]


def steps(
    engine: Engine, prompt: Prompt, sampling: SamplingOptions, k: int, n: int, pick: str
) -> Events[Begun | Step, None, None]:
    """`n` steps after `prompt`, fewer where the model ends the text or the window is full.

    `pick`: "sample" draws from the sampler chain; "greedy" takes what the chain draws at temperature 0, the
    most probable token that biases, penalties and grammar leave. Errors as `next_token`; InterruptedByUser
    on Ctrl-C.
    """
    if pick == "greedy":
        sampling = replace(sampling, temp=0.0)
    ids = prompt.ids(engine.tokenizer)
    engine.ready(ids)
    sampler = engine.sampler(sampling, ids)
    try:
        yield Begun(len(ids), sampler.seed, sampler.skipped)
        for number in range(n):
            check_logits(engine.logits())  # llama.cpp's samplers do not
            distribution = Distribution.of(engine.logits(), sampler.stages())
            token_id = sampler.sample()
            ends = engine.ends_reply(token_id)
            yield Step(
                distribution.candidate(token_id, engine.tokenizer),
                tuple(distribution.top(k, engine.tokenizer)),
                distribution.entropy_bits,
                ends,
            )
            if ends or number + 1 == n or len(engine.cached) >= engine.context_size:
                return
            engine.feed(token_id)
    finally:
        sampler.close()
