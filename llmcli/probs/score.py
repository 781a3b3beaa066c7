"""How probable a text is: each token's logprob given what stands before it, perplexity, bits per byte.

A text longer than the window is read in windows that overlap by half, as llama.cpp's perplexity tool with a
stride does: the first scores all its tokens, each later one its second half, so that every token is scored
once, with at least half a window before it. Where the vocabulary has a BOS, it takes the place of a later
window's first token, as in that tool.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Progress, Scorer
from llmcli.errors import InputError
from llmcli.probs.distribution import LN2, check_logits, log_softmax, top_ids
from llmcli.probs.prompt import Prompt
from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Alternative:
    """A token that might have stood there."""

    id: int
    piece: bytes
    logprob: float
    prob: float


@dataclass(frozen=True)
class ScoredToken:
    """A token of the text, and the distribution that it was drawn from.

    The first one has none: nothing precedes it.
    """

    index: int
    id: int
    piece: bytes
    logprob: float | None
    rank: int | None
    entropy_bits: float | None
    top: tuple[Alternative, ...] = ()

    @property
    def prob(self) -> float | None:
        """The probability; None for the first token."""
        return None if self.logprob is None else math.exp(self.logprob)


@dataclass(frozen=True)
class Score:
    """A text's tokens with their logprobs; `n_bytes` are those of the tokens that have one."""

    tokens: tuple[ScoredToken, ...]
    n_bytes: int
    n_windows: int

    @property
    def n_scored(self) -> int:
        """How many tokens have a logprob."""
        return sum(token.logprob is not None for token in self.tokens)

    @property
    def sum_logprob(self) -> float:
        """The natural logarithm of the text's probability."""
        return math.fsum(token.logprob for token in self.tokens if token.logprob is not None)

    @property
    def perplexity(self) -> float:
        """exp(-mean logprob): among how many equally probable tokens the model was as uncertain."""
        return perplexity(self.sum_logprob, self.n_scored)

    @property
    def bits_per_byte(self) -> float | None:
        """-log2(probability) for each byte of the text; None where it has none."""
        return -self.sum_logprob / LN2 / self.n_bytes if self.n_bytes else None


@dataclass(frozen=True)
class Window:
    """Tokens [start, end) read at once, of which [scored, end) are scored."""

    start: int
    end: int
    scored: int


def windows(n: int, size: int) -> list[Window]:
    """The windows of at most `size` tokens in which a text of `n` is read.

    >>> windows(10, 4)  # doctest: +NORMALIZE_WHITESPACE
    [Window(start=0, end=4, scored=1), Window(start=2, end=6, scored=4),
     Window(start=4, end=8, scored=6), Window(start=6, end=10, scored=8)]
    """
    found = [Window(0, min(n, size), 1)]
    while found[-1].end < n:
        start, scored = found[-1].start + size // 2, found[-1].end
        found.append(Window(start, min(n, start + size), scored))
    return found


def score(engine: Scorer, prompt: Prompt, k: int, *, on_progress: Progress | None = None) -> Score:
    """The tokens of `prompt`, each with its logprob and the `k` most probable in its place.

    Raises InputError for a text of a single token without a BOS, InterruptedByUser on Ctrl-C.
    """
    tokenizer = engine.tokenizer
    ids = prompt.ids(tokenizer)
    check_scorable(ids)
    tokens = [ScoredToken(0, ids[0], tokenizer.piece(ids[0]), None, None, None)]
    parts = windows(len(ids), engine.context_size)
    reader = _Reader(tokenizer, k)
    for at, row in predictions(engine, ids, parts, on_progress):
        tokens.append(reader.scored(at, ids[at], row))
    has_bos = len(ids) > len(prompt.own_ids(tokenizer))
    n_bytes = len(prompt.text) if has_bos else _n_bytes_behind(prompt.text, tokens[0].piece)
    return Score(tuple(tokens), n_bytes, len(parts))


def perplexity(sum_logprob: float, n_tokens: int) -> float:
    """exp(-mean logprob); infinite where that leaves the range of floats."""
    mean = -sum_logprob / n_tokens
    return math.exp(mean) if mean < 700 else math.inf


def check_scorable(ids: Sequence[int]) -> None:
    """Raise InputError unless at least one token has another before it."""
    if len(ids) < 2:
        raise InputError(
            "the text has a single token, and nothing precedes it: there is nothing to score",
            hint="give a longer text",
        )


def predictions(
    engine: Scorer, ids: Sequence[int], parts: Sequence[Window], on_progress: Progress | None = None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """For each token but the first, its position and the logits that predicted it, shape (n_vocab,).

    The logits die with the next ones.
    """
    lead = engine.tokenizer.encode(b"", eos=False)
    for number, window in enumerate(parts):
        wanted = list(ids[window.start : window.end - 1])
        if number and lead:
            wanted[: len(lead)] = lead
        begin = window.scored - 1 - window.start
        for at, rows in engine.rows(wanted, begin, on_progress=_share(on_progress, number, len(parts))):
            for offset, row in enumerate(rows):
                yield window.start + at + offset + 1, row


def logprobs_of(rows: NDArray[np.float32], ids: Sequence[int]) -> list[float]:
    """The logprob of each id in its row of logits, shape (len(ids), n_vocab)."""
    return [float(log_softmax(row)[token_id]) for row, token_id in zip(rows, ids, strict=True)]


class _Reader:
    """Reads rows of logits, in arrays that it keeps: to make new ones takes longer than the maths."""

    def __init__(self, tokenizer: Tokenizer, k: int) -> None:
        self._tokenizer, self._k = tokenizer, k
        self._wide = np.empty(tokenizer.n_tokens)
        self._powers = np.empty(tokenizer.n_tokens)

    def scored(self, at: int, token_id: int, row: NDArray[np.float32]) -> ScoredToken:
        """What a row, shape (n_vocab,), says of the token that came. Raises EngineError as `check_logits`."""
        largest, wide, powers = check_logits(row), self._wide, self._powers
        np.subtract(row, largest, out=wide, dtype=np.float64)
        np.maximum(wide, -1e4, out=wide)  # exp of it is 0 as of -inf, but 0 times it is a number
        np.exp(wide, out=powers)
        total = float(powers.sum())
        normalizer = math.log(total)
        top = top_ids(row, self._k)
        alternatives = zip(top.tolist(), wide[top].tolist(), powers[top].tolist(), strict=True)
        found = tuple(
            Alternative(i, self._tokenizer.piece(i), logit - normalizer, power / total)
            for i, logit, power in alternatives
        )
        logit = row[token_id]
        equals_before = np.count_nonzero(row[:token_id] == logit)
        np.multiply(powers, wide, out=wide)
        return ScoredToken(
            index=at,
            id=token_id,
            piece=self._tokenizer.piece(token_id),
            logprob=float(logit) - largest - normalizer,
            rank=int(np.count_nonzero(row > logit) + equals_before) + 1,
            entropy_bits=(normalizer - float(wide.sum()) / total) / LN2 + 0.0,
            top=found,
        )


def _n_bytes_behind(text: bytes, first: bytes) -> int:
    """The text's bytes without those of its first token, which has no logprob."""
    for piece in (first, first.removeprefix(b" ")):
        if text.startswith(piece):
            return len(text) - len(piece)
    return len(text)


def _share(on_progress: Progress | None, number: int, of: int) -> Progress | None:
    """Progress within the part `number` of `of`, told as progress of the whole."""
    if on_progress is None:
        return None
    told = on_progress
    return lambda done: told((number + done) / of)
