"""The distribution over the next token: softmax, entropy, the most probable tokens.

Everything is computed in float64 over the whole vocabulary from the raw logits, at temperature 1 and before
any sampler; what the sampler chain makes of it stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Stage
from llmcli.tokens.tokenizer import Tokenizer


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
    """What comes next, over the whole vocabulary: three arrays of the shape (n_vocab,).

    `sampled` is the probability with which the sampler chain draws each token (0 = left out).
    """

    logits: NDArray[np.float32]
    logprobs: NDArray[np.float64]
    sampled: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float32], stages: Sequence[Stage] = ()) -> Distribution:
        """The distribution that `logits` stand for; `stages` are the sampler chain's, if there is one.

        The logits are copied: the engine's own die at its next evaluation.
        """
        logprobs = log_softmax(logits)
        if stages:
            sampled = np.zeros(len(logits))
            sampled[stages[-1].ids] = np.exp(log_softmax(stages[-1].logits))
        else:
            sampled = np.exp(logprobs)
        return cls(logits.copy(), logprobs, sampled)

    @property
    def entropy_bits(self) -> float:
        """How uncertain the model is: 0 when sure, log2(n_vocab) when every token is as probable."""
        finite = self.logprobs[np.isfinite(self.logprobs)]
        return float(-np.sum(np.exp(finite) * finite) / np.log(2)) + 0.0

    def size_of(self, mass: float) -> int:
        """How many of the most probable tokens it takes to make up `mass` together."""
        probs = np.sort(np.exp(self.logprobs))[::-1]
        return min(int(np.searchsorted(np.cumsum(probs), mass)) + 1, len(probs))

    def top(self, k: int, tokenizer: Tokenizer) -> list[Candidate]:
        """The `k` most probable tokens, the most probable first; of equals the lower id first."""
        n = len(self.logits)
        chosen = np.arange(n)
        if k < n:
            # Of 150,000 logits only those that can be among the k are sorted.
            chosen = np.flatnonzero(self.logits >= np.partition(self.logits, n - k)[n - k])
        ids = chosen[np.lexsort((chosen, -self.logits[chosen]))][:k]
        cumulative = np.cumsum(np.exp(self.logprobs[ids]))
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
        total = float(np.sum(np.exp(self.logprobs[before]))) + float(np.exp(self.logprobs[token_id]))
        return self._candidate(token_id, int(np.count_nonzero(before)) + 1, total, tokenizer)

    def _candidate(self, token_id: int, rank: int, cumulative: float, tokenizer: Tokenizer) -> Candidate:
        return Candidate(
            rank=rank,
            id=token_id,
            piece=tokenizer.piece(token_id),
            logit=float(self.logits[token_id]),
            logprob=float(self.logprobs[token_id]),
            prob=float(np.exp(self.logprobs[token_id])),
            cumulative=min(1.0, cumulative),
            sampled_prob=float(self.sampled[token_id]),
        )


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The natural logarithms of the softmax, in float64: logit - log(sum(exp(logits))).

    >>> np.exp(log_softmax(np.array([1.0, 1.0], np.float32))).tolist()
    [0.5, 0.5]
    """
    wide = logits.astype(np.float64)
    wide -= wide.max()
    wide -= np.log(np.sum(np.exp(wide)))
    return wide
