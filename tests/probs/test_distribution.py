"""The distribution over the next token, against a computation of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmcli.engine.protocol import Stage
from llmcli.probs.distribution import Distribution, log_softmax
from llmcli.tokens.tokenizer import SpecialToken

LOGITS = st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=40).map(
    lambda values: np.array(values, np.float32)
)


class Letters:
    """A vocabulary without a model: a token's piece is its id in words of bytes."""

    name = "letters"
    n_tokens = 40
    algorithm = "other"
    adds_space_prefix = False

    def encode(
        self, text: bytes, *, parse_special: bool = True, bos: bool | None = None, eos: bool | None = None
    ) -> list[int]:
        return list(text)

    def piece(self, token_id: int) -> bytes:
        return b"%d" % token_id

    def is_special(self, token_id: int) -> bool:
        return False

    def special_tokens(self) -> list[SpecialToken]:
        return []

    def begins_anew(self, token_id: int) -> bool:
        return False


def naive(logits: NDArray[np.float32]) -> list[float]:
    """The softmax as the textbook writes it, in Python's own floats."""
    largest = max(map(float, logits))
    powers = [math.exp(float(logit) - largest) for logit in logits]
    return [power / math.fsum(powers) for power in powers]


@given(LOGITS)
def test_probabilities_sum_to_one(logits: NDArray[np.float32]) -> None:
    """Over the whole vocabulary, and none is negative."""
    probs = np.exp(log_softmax(logits))
    assert math.fsum(probs) == pytest.approx(1, abs=1e-12)
    assert (probs >= 0).all()


@given(LOGITS)
def test_against_the_textbook(logits: NDArray[np.float32]) -> None:
    """Probabilities, logprobs, entropy, ranks and sums are those of a naive computation."""
    probs = naive(logits)
    distribution = Distribution.of(logits)
    entropy = -math.fsum(p * math.log2(p) for p in probs if p > 0)
    assert distribution.entropy_bits == pytest.approx(entropy, abs=1e-9)
    order = sorted(range(len(probs)), key=lambda i: (-float(logits[i]), i))
    top = distribution.top(len(probs), Letters())
    assert [candidate.id for candidate in top] == order
    assert [candidate.rank for candidate in top] == list(range(1, len(probs) + 1))
    for candidate in top:
        assert candidate.piece == b"%d" % candidate.id
        assert candidate.logit == float(logits[candidate.id])
        assert candidate.prob == pytest.approx(probs[candidate.id], rel=1e-9, abs=1e-300)
        assert candidate.logprob == pytest.approx(
            float(logits[candidate.id])
            - float(max(logits))
            - math.log(math.fsum(math.exp(float(x) - float(max(logits))) for x in logits)),
            abs=1e-9,
        )
        before = math.fsum(probs[i] for i in order[: candidate.rank])
        assert candidate.cumulative == pytest.approx(before, abs=1e-9)
        assert candidate.cumulative <= 1
        assert candidate.sampled_prob == pytest.approx(candidate.prob)


@given(LOGITS, st.integers(1, 60))
def test_the_top_k_are_the_first_of_all(logits: NDArray[np.float32], k: int) -> None:
    """A small k gives the beginning of what a large one gives; one beyond the vocabulary gives it all."""
    distribution = Distribution.of(logits)
    everything = distribution.top(len(logits), Letters())
    assert distribution.top(k, Letters()) == everything[:k]


@given(LOGITS, st.data())
def test_one_token_alone(logits: NDArray[np.float32], data: st.DataObject) -> None:
    """Asked for by itself, a token has the rank and the sum that it has in the whole list."""
    distribution = Distribution.of(logits)
    token_id = data.draw(st.integers(0, len(logits) - 1))
    [listed] = [c for c in distribution.top(len(logits), Letters()) if c.id == token_id]
    alone = distribution.candidate(token_id, Letters())
    assert (alone.rank, alone.prob, alone.logit) == (listed.rank, listed.prob, listed.logit)
    assert alone.cumulative == pytest.approx(listed.cumulative, abs=1e-9)


def test_equals_are_ranked_by_id() -> None:
    """Of equally probable tokens the lower id comes first, also at the edge of the top k."""
    distribution = Distribution.of(np.array([1, 2, 1, 2, 2, 1], np.float32))
    assert [c.id for c in distribution.top(2, Letters())] == [1, 3]
    assert [c.id for c in distribution.top(5, Letters())] == [1, 3, 4, 0, 2]
    assert [distribution.candidate(i, Letters()).rank for i in range(6)] == [4, 1, 5, 2, 3, 6]


def test_entropy_at_its_ends() -> None:
    """Zero when sure, log2(n) when every token is as probable."""
    assert Distribution.of(np.zeros(32, np.float32)).entropy_bits == pytest.approx(5)
    sure = Distribution.of(np.array([0, -np.inf, -np.inf], np.float32))
    assert sure.entropy_bits == 0
    assert math.copysign(1, sure.entropy_bits) == 1
    assert sure.top(3, Letters())[0].prob == 1


@given(LOGITS, st.floats(0.01, 0.999))
def test_size_of_is_the_smallest_that_suffices(logits: NDArray[np.float32], mass: float) -> None:
    """So many tokens make up the mass, and one fewer do not."""
    distribution = Distribution.of(logits)
    size = distribution.size_of(mass)
    cumulative = [c.cumulative for c in distribution.top(len(logits), Letters())]
    assert cumulative[size - 1] >= mass - 1e-9
    assert size == 1 or cumulative[size - 2] < mass + 1e-9


def test_size_of_even_shares() -> None:
    """Nine of ten equals make up 85 %, all ten 95 %."""
    even = Distribution.of(np.zeros(10, np.float32))
    assert (even.size_of(0.85), even.size_of(0.95), even.size_of(1.0)) == (9, 10, 10)


def test_sampled_prob_is_what_the_chain_leaves() -> None:
    """The last stage's survivors share all the probability; the others have none."""
    logits = np.array([3, 2, 1, 0], np.float32)
    stages = [
        Stage("top_k", {"k": 3}, np.array([0, 1, 2], np.int32), np.array([3, 2, 1], np.float32)),
        Stage("temperature", {"temp": 0.5}, np.array([1, 0], np.int32), np.array([4, 6], np.float32)),
    ]
    sampled = [c.sampled_prob for c in Distribution.of(logits, stages).top(4, Letters())]
    assert sampled == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2)), 0, 0])


def test_the_logits_are_copied() -> None:
    """The engine's own memory may change under it."""
    logits = np.array([1, 2, 3], np.float32)
    distribution = Distribution.of(logits)
    logits[:] = 0
    assert [c.id for c in distribution.top(1, Letters())] == [2]
