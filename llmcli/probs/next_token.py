"""The next token after a prompt: the report that `llmcli probs` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llmcli.engine.protocol import Generator, Logits
from llmcli.errors import InputError
from llmcli.probs.distribution import Candidate, Distribution
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import Tokenizer, to_bytes


class Engine(Generator, Logits, Protocol):
    """What a report needs: raw logits, and the sampler chain that would draw from them."""


@dataclass(frozen=True)
class Asked:
    """A text that the user asked about: its first token, and all its tokens where there are several."""

    text: str
    ids: tuple[int, ...]
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


def next_token(
    engine: Engine, prompt: bytes, sampling: SamplingOptions, k: int, asked: Sequence[str] = ()
) -> NextToken:
    """The distribution of the token after `prompt`: its `k` most probable tokens, and those asked for.

    Raises InputError for a prompt or an asked text without tokens, WindowFullError for one too long.
    """
    tokenizer = engine.tokenizer
    # An EOS that a vocabulary adds would end the prompt before it was continued.
    ids = tokenizer.encode(prompt, eos=False)
    if not ids:
        raise InputError("the prompt is empty, and this vocabulary has no BOS token to begin with")
    engine.ready(ids)
    sampler = engine.sampler(sampling, ids)
    try:
        stages = sampler.stages()
        distribution = Distribution.of(engine.logits(), stages)
        skipped = sampler.skipped
    finally:
        sampler.close()
    return NextToken(
        n_prompt_tokens=len(ids),
        entropy_bits=distribution.entropy_bits,
        n_90=distribution.size_of(0.9),
        top=tuple(distribution.top(k, tokenizer)),
        asked=tuple(_ask(text, prompt, distribution, tokenizer) for text in asked),
        chain=tuple(stage.name for stage in stages),
        skipped=skipped,
    )


def _ask(text: str, prompt: bytes, distribution: Distribution, tokenizer: Tokenizer) -> Asked:
    ids, rejoined = continuation(prompt, text, tokenizer)
    if not ids:
        raise InputError(f"--token {text!r} adds no token to the prompt")
    return Asked(text, tuple(ids), distribution.candidate(ids[0], tokenizer), rejoined)


def continuation(prompt: bytes, text: str, tokenizer: Tokenizer) -> tuple[list[int], bool]:
    """The ids that `text` adds to those of `prompt`, and whether joining the two changes the prompt's own.

    Where it does, they are the ids of `text` by itself.
    """
    addition = to_bytes(text)
    before = tokenizer.encode(prompt, bos=False, eos=False)
    joined = tokenizer.encode(prompt + addition, bos=False, eos=False)
    if joined[: len(before)] == before:
        return joined[len(before) :], False
    return tokenizer.encode(addition, bos=False, eos=False), True
