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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Progress, Scorer
from llmcli.errors import InputError, InterruptedByUser
from llmcli.probs.distribution import LN2, log_softmax
from llmcli.probs.prompt import Prompt
from llmcli.probs.rows import Readings, RowReader
from llmcli.tokens.tokenizer import Tokenizer


class Alternative(NamedTuple):
    """A token that might have stood there.

    A tuple, because of each token of a text there are several: a dataclass takes four times as long to make.
    """

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
    """A text's tokens with their logprobs; `n_bytes` are those of the tokens that have one.

    Where the user interrupted it, only a beginning of the text's `n_prompt_tokens` is there.
    """

    tokens: tuple[ScoredToken, ...]
    n_bytes: int
    n_windows: int
    n_prompt_tokens: int

    @property
    def is_whole(self) -> bool:
        """Whether every token was scored."""
        return len(self.tokens) == self.n_prompt_tokens

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

    On Ctrl-C it is what was scored until then. Raises InputError for a text of a single token without a BOS,
    InterruptedByUser on Ctrl-C before any was scored.
    """
    tokenizer = engine.tokenizer
    ids = prompt.ids(tokenizer)
    check_scorable(ids)
    tokens = [ScoredToken(0, ids[0], tokenizer.piece(ids[0]), None, None, None)]
    parts = windows(len(ids), engine.context_size)
    try:
        with RowReader(tokenizer.n_tokens, k, engine.n_threads) as reader:
            for at, rows in predictions(engine, ids, parts, on_progress):
                came = ids[at : at + len(rows)]
                tokens += _scored(at, came, reader.read(rows, came), tokenizer)
    except InterruptedByUser:
        if len(tokens) == 1:
            raise
    text, lead = prompt.text, len(ids) - len(prompt.own_ids(tokenizer))
    pieces = [token.piece for token in tokens[lead:]]
    end = len(text) if len(tokens) == len(ids) else _n_bytes(text, pieces)
    n_bytes = end - (0 if lead else _n_bytes(text, pieces[:1]))
    return Score(tuple(tokens), n_bytes, len(parts), len(ids))


def score_after(
    engine: Scorer, ids: Sequence[int], begin: int, k: int, *, on_progress: Progress | None = None
) -> Score:
    """The tokens of `ids` from `begin` on, which the window has to hold, as `score` gives those of a text.

    What the cache holds before them is not evaluated again. `begin` is at least 1. Errors as `Logits.ready`.
    """
    tokenizer = engine.tokenizer
    tokens: list[ScoredToken] = []
    with RowReader(tokenizer.n_tokens, k, engine.n_threads) as reader:
        for at, rows in engine.rows(ids[:-1], begin - 1, on_progress=on_progress):
            came = ids[at + 1 : at + 1 + len(rows)]
            tokens += _scored(at + 1, came, reader.read(rows, came), tokenizer)
    n_bytes = sum(len(token.piece) for token in tokens)
    return Score(tuple(tokens), n_bytes, 1, len(tokens))


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
    """The logits that predicted each token but the first: the position of the first of some, and their rows.

    Rows have the shape (n, n_vocab), and die with the next ones.
    """
    lead = engine.tokenizer.encode(b"", eos=False)
    for number, window in enumerate(parts):
        wanted = list(ids[window.start : window.end - 1])
        if number and lead:
            wanted[: len(lead)] = lead
        begin = window.scored - 1 - window.start
        for at, rows in engine.rows(wanted, begin, on_progress=_share(on_progress, number, len(parts))):
            yield window.start + at + 1, rows


def logprobs_of(rows: NDArray[np.float32], ids: Sequence[int]) -> list[float]:
    """The logprob of each id in its row of logits, shape (len(ids), n_vocab)."""
    return [float(log_softmax(row)[token_id]) for row, token_id in zip(rows, ids, strict=True)]


def _scored(
    begin: int, ids: Sequence[int], readings: Readings, tokenizer: Tokenizer
) -> Iterator[ScoredToken]:
    """The tokens `ids`, of which the first stands at `begin`, with what the rows before them say."""
    columns = (
        readings.logprobs,
        readings.ranks,
        readings.entropies,
        readings.top,
        readings.top_logprobs,
        readings.top_probs,
    )
    each = zip(ids, *(column.tolist() for column in columns), strict=True)
    for at, (token_id, logprob, rank, entropy, *top) in enumerate(each, begin):
        found, logprobs, probs = top
        alternatives = zip(found, map(tokenizer.piece, found), logprobs, probs, strict=True)
        yield ScoredToken(
            at,
            token_id,
            tokenizer.piece(token_id),
            logprob,
            rank,
            entropy,
            tuple(map(Alternative._make, alternatives)),
        )


def _n_bytes(text: bytes, pieces: Sequence[bytes]) -> int:
    """How many of the text's bytes its first tokens stand for; a space that nobody wrote is none."""
    written = b"".join(pieces)
    if not text.startswith(written):
        written = written.removeprefix(b" ")
    return min(len(written), len(text))


def _share(on_progress: Progress | None, number: int, of: int) -> Progress | None:
    """Progress within the part `number` of `of`, told as progress of the whole."""
    if on_progress is None:
        return None
    told = on_progress
    return lambda done: told((number + done) / of)
