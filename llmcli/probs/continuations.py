"""How probable each of several continuations of a prompt is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Brancher, Branches
from llmcli.errors import InputError, WindowFullError
from llmcli.probs.prompt import Continuation, Prompt, continuation
from llmcli.probs.score import logprobs_of


@dataclass(frozen=True)
class ScoredContinuation:
    """A continuation with its tokens' logprobs; `share` is its part of all continuations' probability."""

    text: str
    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    logprobs: tuple[float, ...]
    share: float
    rejoined: bool

    @property
    def sum_logprob(self) -> float:
        """The natural logarithm of its probability."""
        return math.fsum(self.logprobs)

    @property
    def mean_logprob(self) -> float:
        """The same a token, so that long ones and short ones can be compared."""
        return self.sum_logprob / len(self.ids)


@dataclass(frozen=True)
class Continuations:
    """The continuations in the order in which they were asked for."""

    n_prompt_tokens: int
    continuations: tuple[ScoredContinuation, ...]


def continuations(engine: Brancher, prompt: Prompt, texts: Sequence[str]) -> Continuations:
    """Score each of `texts` behind `prompt`: the prompt is evaluated once, and each text's own tokens.

    Raises InputError for a text without tokens, WindowFullError where prompt and text do not fit.
    """
    tokenizer = engine.tokenizer
    ids = prompt.ids(tokenizer)
    found = [_behind(prompt, text, engine) for text in texts]
    longest = max(len(c.ids) for c in found)
    if len(ids) + longest - 1 > engine.context_size:
        raise WindowFullError(
            f"the prompt has {len(ids):,} tokens and the longest continuation {longest:,}: "
            f"more than the window of {engine.context_size:,}",
            hint="shorten them, or ask for a larger window with -c",
        )
    engine.ready(ids)
    first = engine.logits().copy()
    with engine.branches() as branches:
        rows = list(_logprobs(branches, first, [c.ids for c in found]))
    sums = [math.fsum(logprobs) for logprobs in rows]
    largest = max(sums)
    total = math.fsum(math.exp(value - largest) for value in sums)
    return Continuations(
        len(ids),
        tuple(
            ScoredContinuation(
                text=c.text,
                ids=c.ids,
                pieces=tuple(map(tokenizer.piece, c.ids)),
                logprobs=tuple(logprobs),
                share=math.exp(value - largest) / total,
                rejoined=c.rejoined,
            )
            for c, logprobs, value in zip(found, rows, sums, strict=True)
        ),
    )


def _behind(prompt: Prompt, text: str, engine: Brancher) -> Continuation:
    if not text:
        raise InputError("a continuation is empty", hint="give --continue a text")
    return continuation(prompt, text, engine.tokenizer)


def _logprobs(
    branches: Branches, first: NDArray[np.float32], wanted: Sequence[tuple[int, ...]]
) -> Iterator[list[float]]:
    """The logprobs of each continuation's tokens; the last token itself need not be evaluated."""
    for group in _groups(wanted, branches):
        tails = [(branches.fork(), ids) for ids in group]
        found = [logprobs_of(first[np.newaxis], ids[:1]) for ids in group]
        for work in _blocks([len(ids) - 1 for ids in group], branches.block):
            rows = branches.evaluate([(tails[i][0], group[i][start:end]) for i, start, end in work])
            for (i, start, end), logits in zip(work, rows, strict=True):
                found[i] += logprobs_of(logits, group[i][start + 1 : end + 1])
        for branch, _ids in tails:
            branches.drop(branch)
        yield from found


def _groups(wanted: Sequence[tuple[int, ...]], branches: Branches) -> Iterator[list[tuple[int, ...]]]:
    """The continuations in groups that the cache can hold at once."""
    group: list[tuple[int, ...]] = []
    n_cells = 0
    for ids in wanted:
        if group and (len(group) == max(1, branches.room) or n_cells + len(ids) > branches.n_cells):
            yield group
            group, n_cells = [], 0
        group.append(ids)
        n_cells += len(ids)
    yield group


def _blocks(lengths: Sequence[int], block: int) -> Iterator[list[tuple[int, int, int]]]:
    """Every token of texts of these lengths once, as (text, start, end), in blocks of at most `block` tokens.

    >>> list(_blocks([3, 2], 4))
    [[(0, 0, 3), (1, 0, 1)], [(1, 1, 2)]]
    """
    work: list[tuple[int, int, int]] = []
    room = block
    for i, length in enumerate(lengths):
        start = 0
        while start < length:
            end = min(length, start + room)
            work.append((i, start, end))
            room -= end - start
            start = end
            if not room:
                yield work
                work, room = [], block
    if work:
        yield work
