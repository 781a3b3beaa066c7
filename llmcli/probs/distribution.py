"""The distribution over the next token: softmax, entropy, the most probable tokens.

Everything is computed in float64 over the whole vocabulary from the raw logits, at temperature 1 and before
any sampler; what the sampler chain makes of it stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Stage
from llmcli.errors import EngineError
from llmcli.tokens.tokenizer import Tokenizer

LN2 = math.log(2)
COLUMN = 64


@dataclass(frozen=True)
class Candidate:
    """A token that might come next.

    `logprob` is natural, `cumulative` the probability of this token and all more probable ones, and
    `sampled_prob` what the sampler chain draws it with (0 = left out).
    """

    rank: int
    id: int
    piece: bytes
    logit: float
    logprob: float
    prob: float
    cumulative: float
    sampled_prob: float


@dataclass(frozen=True)
class Distribution:
    """What comes next, over the whole vocabulary: arrays of the shape (n_vocab,).

    `sampled` is the probability with which the sampler chain draws each token (0 = left out); None where
    there is no chain, and each is drawn with its own.
    """

    logits: NDArray[np.float32]
    logprobs: NDArray[np.float64]
    probs: NDArray[np.float64]
    sampled: NDArray[np.float64] | None

    @classmethod
    def of(cls, logits: NDArray[np.float32], stages: Sequence[Stage] = ()) -> Distribution:
        """The distribution that `logits` stand for; `stages` are the sampler chain's, if there is one.

        The logits are copied: the engine's own die at its next evaluation. Raises EngineError where they are
        no numbers.
        """
        logprobs, probs = both_softmaxes(logits)
        sampled = None
        if stages:
            sampled = np.zeros(len(logits))
            sampled[stages[-1].ids] = stage_probs(stages[-1])
        return cls(logits.copy(), logprobs, probs, sampled)

    @property
    def entropy_bits(self) -> float:
        """How uncertain the model is: 0 when sure, log2(n_vocab) when every token is as probable."""
        return entropy_bits(self.logprobs, self.probs)

    def size_of(self, mass: float) -> int:
        """How many of the most probable tokens it takes to make up `mass` together."""
        # A sort of the whole vocabulary takes ten times as long: so only the tokens of the level where the
        # mass is reached are sorted, a level being a sixteenth of a nat.
        levels = np.minimum((self.logits.max() - self.logits) * np.float32(16), 4095).astype(np.intp)
        masses = np.cumsum(np.bincount(levels, self.probs))
        level = min(int(np.searchsorted(masses, mass)), len(masses) - 1)
        before = masses[level - 1] if level else 0.0
        inside = np.cumsum(np.sort(self.probs[levels == level])[::-1])
        n = int(np.count_nonzero(levels < level)) + int(np.searchsorted(before + inside, mass)) + 1
        return min(n, len(self.logits))

    def top(self, k: int, tokenizer: Tokenizer) -> list[Candidate]:
        """The `k` most probable tokens, the most probable first; of equals the lower id first."""
        ids = top_ids(self.logits, k)
        cumulative = np.cumsum(self.probs[ids])
        return [
            self._candidate(int(token_id), rank, float(total), tokenizer)
            for rank, (token_id, total) in enumerate(zip(ids, cumulative, strict=True), 1)
        ]

    def candidate(self, token_id: int, tokenizer: Tokenizer) -> Candidate:
        """One token, wherever it ranks. The id must be in the vocabulary."""
        logit = self.logits[token_id]
        equals_before = np.flatnonzero(self.logits[:token_id] == logit)
        before = self.logits > logit
        before[equals_before] = True
        total = float(np.sum(self.probs[before])) + float(self.probs[token_id])
        return self._candidate(token_id, int(np.count_nonzero(before)) + 1, total, tokenizer)

    def _candidate(self, token_id: int, rank: int, cumulative: float, tokenizer: Tokenizer) -> Candidate:
        prob = float(self.probs[token_id])
        return Candidate(
            rank=rank,
            id=token_id,
            piece=tokenizer.piece(token_id),
            logit=float(self.logits[token_id]),
            logprob=float(self.logprobs[token_id]),
            prob=prob,
            cumulative=min(1.0, cumulative),
            sampled_prob=prob if self.sampled is None else float(self.sampled[token_id]),
        )


def log_softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The natural logarithms of the softmax, in float64: logit - log(sum(exp(logits))).

    Raises EngineError where the logits are no numbers, which makes every probability none.

    >>> np.exp(log_softmax(np.array([1.0, 1.0], np.float32))).tolist()
    [0.5, 0.5]
    """
    return both_softmaxes(logits)[0]


def both_softmaxes(
    logits: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The logarithms of the softmax, and the softmax itself: the exponentials are computed once."""
    largest = check_logits(logits)
    logprobs = logits.astype(np.float64)
    logprobs -= largest
    probs = np.exp(logprobs)
    total = float(np.sum(probs))
    logprobs -= math.log(total)
    probs /= total
    return logprobs, probs


def check_logits(logits: NDArray[np.floating[Any]]) -> float:
    """The largest logit. Raises EngineError where one is no number: it spoils every probability."""
    largest = float(logits.max())
    if not math.isfinite(largest):
        raise EngineError(
            f"the model computed {largest} for a token's logit",
            hint="its file may be damaged, or the cache types or RoPE options do not suit it",
        )
    return largest


def entropy_bits(logprobs: NDArray[np.float64], probs: NDArray[np.float64] | None = None) -> float:
    """The entropy of a distribution in bits, from its natural logprobs; what is impossible adds nothing.

    `probs`, if they are known already, save half the time.
    """
    possible = np.maximum(logprobs, -1e4)  # -inf * 0 would be no number
    # No np.dot: its threads wait for one another where the processors have other work to do.
    return float(-np.sum((np.exp(possible) if probs is None else probs) * possible) / LN2) + 0.0


def top_ids(logits: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The ids of the `k` largest logits, the largest first; of equals the lower id first."""
    [ids] = top_ids_of(logits[np.newaxis], min(k, len(logits)))
    return np.asarray(ids)


def top_ids_of(rows: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The same for each of several rows, shape (n, n_vocab): shape (n, k). `k` is at most n_vocab.

    Only tokens that can be among the k are sorted. Cut into columns, the k-th largest of the columns' maxima
    is a bound: k tokens at least reach it, and few others do. That is 20 times as fast as a partition of
    150,000.
    """
    n_rows, n = rows.shape
    n_columns = n // COLUMN
    bounded = rows
    if k < n_columns // 4:
        bounded = rows[:, : n_columns * COLUMN].reshape(n_rows, COLUMN, n_columns).max(axis=1)
    kth = bounded.shape[1] - k
    bounds = np.partition(bounded, kth, axis=1)[:, kth]
    row, token_id = np.divmod(np.flatnonzero(rows >= bounds[:, np.newaxis]), n)
    order = np.lexsort((token_id, -rows[row, token_id], row))
    begins = np.searchsorted(row, np.arange(n_rows))  # at least k of each row are there
    return np.asarray(token_id[order[begins[:, np.newaxis] + np.arange(k)]])


def stage_probs(stage: Stage) -> NDArray[np.float64]:
    """The probabilities of a stage's survivors, in the stage's own order."""
    probs: NDArray[np.float64] = np.exp(log_softmax(stage.logits))
    return probs
