"""Two distributions against each other: of two models, two quantizations of one, or after two prompts.

KL(P || Q) = sum(p * log2(p / q)), the bits that coding P's tokens with Q's probabilities wastes; JS, the same
for both against their mean, is symmetric and at most 1 bit (Lin 1991).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Progress, Scorer
from llmcli.errors import InputError, InterruptedByUser, ModelError, WindowFullError
from llmcli.probs.distribution import LN2, log_softmax
from llmcli.probs.prompt import Prompt
from llmcli.probs.score import Window, check_scorable, perplexity, predictions, windows
from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Mover:
    """A token and its probability in the one and in the other."""

    id: int
    piece: bytes
    prob: float
    versus_prob: float


@dataclass(frozen=True)
class Versus:
    """How far apart two distributions are; `top` and `versus_top` are their most probable tokens.

    `movers` are the tokens whose probability differs most, the largest difference first.
    """

    kl_bits: float
    js_bits: float
    top: Mover
    versus_top: Mover
    movers: tuple[Mover, ...]

    @property
    def same_top(self) -> bool:
        """Whether both find the same token most probable."""
        return self.top.id == self.versus_top.id


@dataclass(frozen=True)
class VersusToken:
    """A token of the text, its logprob under both, and how far apart the two distributions were."""

    index: int
    id: int
    piece: bytes
    logprob: float
    versus_logprob: float
    versus: Versus


@dataclass(frozen=True)
class VersusScore:
    """Two models, or two beginnings, on the same tokens: all of them, or those before a Ctrl-C."""

    tokens: tuple[VersusToken, ...]
    is_whole: bool = True

    def mean(self, name: str) -> float:
        """The mean of a figure of `Versus` (kl_bits, js_bits, same_top) over all tokens."""
        return math.fsum(getattr(token.versus, name) for token in self.tokens) / len(self.tokens)

    @property
    def perplexities(self) -> tuple[float, float]:
        """exp(-mean logprob) under the one and under the other."""
        n = len(self.tokens)
        return (
            perplexity(math.fsum(token.logprob for token in self.tokens), n),
            perplexity(math.fsum(token.versus_logprob for token in self.tokens), n),
        )


def versus(p: NDArray[np.float32], q: NDArray[np.float32], k: int, tokenizer: Tokenizer) -> Versus:
    """Compare the distributions of two rows of logits, shape (n_vocab,)."""
    log_p, log_q = log_softmax(p), log_softmax(q)
    probs_p, probs_q = np.exp(log_p), np.exp(log_q)
    log_mean = np.logaddexp(log_p, log_q) - LN2
    js = (_divergence(probs_p, log_p, log_mean) + _divergence(probs_q, log_q, log_mean)) / 2
    moved = np.abs(probs_p - probs_q)
    order = np.lexsort((np.arange(len(moved)), -moved))[:k] if k * 8 >= len(moved) else _largest(moved, k)

    def mover(token_id: int) -> Mover:
        return Mover(token_id, tokenizer.piece(token_id), float(probs_p[token_id]), float(probs_q[token_id]))

    return Versus(
        kl_bits=max(0.0, _divergence(probs_p, log_p, log_q)) / LN2,
        js_bits=min(1.0, max(0.0, js) / LN2),
        top=mover(int(np.argmax(p))),
        versus_top=mover(int(np.argmax(q))),
        movers=tuple(mover(i) for i in order.tolist() if moved[i] > 0),
    )


def versus_model(
    engine: Scorer, other: Scorer, prompt: Prompt, k: int, *, on_progress: Progress | None = None
) -> VersusScore:
    """The text's tokens under two models with the same vocabulary, in the same windows.

    Both walk along side by side, so that no more than a block of logits is ever held.
    """
    ids = prompt.ids(engine.tokenizer)
    check_scorable(ids)
    parts = windows(len(ids), min(engine.context_size, other.context_size))
    found = predictions(engine, ids, parts, on_progress)
    return _compared(_side_by_side(ids, found, predictions(other, ids, parts), k, engine.tokenizer))


def versus_prompt(engine: Scorer, other: Scorer, prompt: Prompt, other_prompt: Prompt, k: int) -> VersusScore:
    """The tokens in which two prompts end alike, under what stands before them in the one and the other.

    `other` is a second context of the same model. Raises InputError where the prompts do not end alike,
    WindowFullError where one is larger than the window.
    """
    ids, other_ids = prompt.ids(engine.tokenizer), other_prompt.ids(engine.tokenizer)
    n = min(_common_suffix(ids, other_ids), len(ids) - 1, len(other_ids) - 1)
    if n < 1:
        raise InputError(
            "the two prompts do not end in the same tokens: there is nothing to compare token by token",
            hint="without --score the next token's distributions are compared",
        )
    if max(len(ids), len(other_ids)) - 1 > engine.context_size:
        raise WindowFullError(
            f"the longer prompt has {max(len(ids), len(other_ids)):,} tokens, the context window only "
            f"{engine.context_size:,}",
            hint="shorten it, or ask for a larger window with -c",
        )
    found, others = (
        predictions(scorer, own, [Window(0, len(own), len(own) - n)])
        for scorer, own in ((engine, ids), (other, other_ids))
    )
    return _compared(_side_by_side(ids, found, others, k, engine.tokenizer))


def check_same_vocabulary(one: Tokenizer, other: Tokenizer) -> None:
    """Raise ModelError, naming the first difference, unless two vocabularies hold the same tokens."""
    hint = "--versus compares quantizations and fine-tunings of one model"
    if one.n_tokens != other.n_tokens:
        raise ModelError(
            f"{one.name} and {other.name} have different vocabularies: {one.n_tokens:,} and "
            f"{other.n_tokens:,} tokens",
            hint=hint,
        )
    for token_id in range(one.n_tokens):
        piece, other_piece = one.piece(token_id), other.piece(token_id)
        if piece != other_piece:
            spelled = [p.decode("utf-8", "backslashreplace") for p in (piece, other_piece)]
            raise ModelError(
                f"{one.name} and {other.name} have different vocabularies: token {token_id} is "
                f"{spelled[0]!r} in the one and {spelled[1]!r} in the other",
                hint=hint,
            )


def _compared(tokens: Iterator[VersusToken]) -> VersusScore:
    """All of the tokens; on Ctrl-C those that were compared until then, if any."""
    done: list[VersusToken] = []
    try:
        for token in tokens:
            done.append(token)
    except InterruptedByUser:
        if not done:
            raise
        return VersusScore(tuple(done), is_whole=False)
    return VersusScore(tuple(done))


def _side_by_side(
    ids: Sequence[int],
    found: Iterator[tuple[int, NDArray[np.float32]]],
    others: Iterator[tuple[int, NDArray[np.float32]]],
    k: int,
    tokenizer: Tokenizer,
) -> Iterator[VersusToken]:
    for (at, row), (_other_at, other_row) in zip(_one_by_one(found), _one_by_one(others), strict=True):
        token_id = ids[at]
        yield VersusToken(
            at,
            token_id,
            tokenizer.piece(token_id),
            float(log_softmax(row)[token_id]),
            float(log_softmax(other_row)[token_id]),
            versus(row, other_row, k, tokenizer),
        )


def _one_by_one(
    predictions: Iterator[tuple[int, NDArray[np.float32]]],
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each row with its position; two engines may have computed different numbers of rows at once."""
    for begin, rows in predictions:
        yield from enumerate(rows, begin)


def _divergence(
    probs: NDArray[np.float64], logprobs: NDArray[np.float64], others: NDArray[np.float64]
) -> float:
    """KL in nats; what has no probability adds nothing."""
    there = probs > 0
    return float(np.sum(probs[there] * (logprobs[there] - others[there])))


def _largest(values: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    chosen = np.argpartition(values, len(values) - k)[len(values) - k :]
    return chosen[np.lexsort((chosen, -values[chosen]))]


def _common_suffix(a: Sequence[int], b: Sequence[int]) -> int:
    n = 0
    while n < min(len(a), len(b)) and a[-1 - n] == b[-1 - n]:
        n += 1
    return n
