"""The distribution over the next token, against computations made another way."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InputError
from llmcli.probs.distribution import Distribution, log_softmax
from llmcli.probs.next_token import continuation, next_token
from llmcli.settings.option import build
from llmcli.settings.sampling import SamplingOptions

logits = st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=50).map(
    lambda values: np.array(values, np.float32)
)


def reference_softmax(values: NDArray[np.float32]) -> list[float]:
    """The textbook's formula in Python's own floats, exactly summed."""
    top = max(map(float, values))
    weights = [math.exp(float(value) - top) for value in values]
    return [weight / math.fsum(weights) for weight in weights]


@given(logits)
def test_log_softmax_agrees_with_the_textbook_and_sums_to_one(values: NDArray[np.float32]) -> None:
    """The probabilities are those of exp(logit) / sum(exp(logits)), and make up one."""
    probs = np.exp(log_softmax(values))
    assert np.allclose(probs, reference_softmax(values), rtol=1e-9, atol=1e-300)
    assert math.isclose(math.fsum(probs), 1.0, rel_tol=1e-12)


@given(logits, st.integers(1, 60))
def test_top_ranks_by_logit_and_of_equals_by_id(values: NDArray[np.float32], k: int) -> None:
    """`top` is the beginning of the whole vocabulary sorted, with running ranks and sums."""
    top = Distribution.of(values).top(k, _Numbers())
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]
    assert [candidate.id for candidate in top] == expected
    assert [candidate.rank for candidate in top] == list(range(1, len(expected) + 1))
    sums = np.cumsum([candidate.prob for candidate in top])
    assert np.allclose([candidate.cumulative for candidate in top], np.minimum(sums, 1.0))


@given(logits, st.data())
def test_a_single_candidate_is_the_same_as_in_the_whole_ranking(
    values: NDArray[np.float32], data: st.DataObject
) -> None:
    """What is said of one token does not depend on how it was asked for."""
    distribution = Distribution.of(values)
    token_id = data.draw(st.integers(0, len(values) - 1))
    everything = {c.id: c for c in distribution.top(len(values), _Numbers())}
    alone, ranked = distribution.candidate(token_id, _Numbers()), everything[token_id]
    assert (alone.rank, alone.prob, alone.logprob) == (ranked.rank, ranked.prob, ranked.logprob)
    assert math.isclose(alone.cumulative, ranked.cumulative, rel_tol=1e-9)


@given(logits)
def test_entropy_agrees_with_its_definition(values: NDArray[np.float32]) -> None:
    """-sum(p log2 p), and never outside 0 to log2(n)."""
    probs = reference_softmax(values)
    expected = -math.fsum(p * math.log2(p) for p in probs if p > 0)
    entropy = Distribution.of(values).entropy_bits
    assert math.isclose(entropy, expected, rel_tol=1e-6, abs_tol=1e-9)
    assert -1e-9 <= entropy <= math.log2(len(values)) + 1e-9


def test_entropy_of_equals_is_the_logarithm_of_their_number() -> None:
    """Eight tokens, none better: three bits; and it takes all of them to make up everything."""
    distribution = Distribution.of(np.zeros(8, np.float32))
    assert math.isclose(distribution.entropy_bits, 3.0)
    assert distribution.size_of(0.9) == 8
    assert distribution.size_of(0.5) == 4


def test_a_token_that_can_never_come_has_no_part_in_the_entropy() -> None:
    """A logit of minus infinity is a probability of zero, not a NaN."""
    distribution = Distribution.of(np.array([0.0, -np.inf, 0.0], np.float32))
    assert math.isclose(distribution.entropy_bits, 1.0)
    assert distribution.candidate(1, _Numbers()).prob == 0.0


def test_the_report_agrees_with_the_logits_of_a_real_model(engine: LlamaEngine) -> None:
    """`prob` is the softmax of what llama.cpp computed, over the whole vocabulary."""
    report = next_token(engine, b"The quick", SamplingOptions(), 5)
    expected = reference_softmax(engine.logits())
    assert report.n_prompt_tokens == len(engine.cached)
    for candidate in report.top:
        assert math.isclose(candidate.prob, expected[candidate.id], rel_tol=1e-9)
        assert math.isclose(candidate.logprob, math.log(expected[candidate.id]), rel_tol=1e-9)


def test_sampled_prob_is_what_top_k_and_temperature_leave(engine: LlamaEngine) -> None:
    """Of the two tokens left, each is drawn as their logits, divided by the temperature, say."""
    given = {"top_k": "2", "temp": "0.5", "top_p": "1", "min_p": "0"}
    report = next_token(engine, b"The quick", build(SamplingOptions, given), 4)
    first, second, third, _ = report.top
    expected = reference_softmax(np.array([first.logit / 0.5, second.logit / 0.5], np.float32))
    assert math.isclose(first.sampled_prob, expected[0], rel_tol=1e-5)
    assert math.isclose(second.sampled_prob, expected[1], rel_tol=1e-5)
    assert third.sampled_prob == 0.0
    assert report.chain == ("top_k", "temperature")


def test_without_a_chain_the_draw_is_the_distribution_itself(engine: LlamaEngine) -> None:
    """With every sampler off, sampled_prob is prob."""
    off = {"top_k": "0", "temp": "1", "top_p": "1", "min_p": "0"}
    report = next_token(engine, b"The quick", build(SamplingOptions, off), 3)
    assert report.chain == ()
    assert all(c.sampled_prob == pytest.approx(c.prob) for c in report.top)


def test_xtc_is_left_out_and_named(engine: LlamaEngine) -> None:
    """A sampler that is random itself has no place in a probability; the report says so."""
    options = build(SamplingOptions, {"xtc_probability": "0.5"})
    report = next_token(engine, b"The quick", options, 3)
    assert report.skipped == ("xtc",)
    assert "xtc" not in report.chain


def test_an_asked_text_is_found_wherever_it_ranks(engine: LlamaEngine) -> None:
    """The least probable token of all is reported with its rank; of several tokens, the first."""
    n = engine.tokenizer.n_tokens
    report = next_token(engine, b"The quick", SamplingOptions(), n, [" brown fox", "!"])
    ranked = {c.id: c.rank for c in report.top}
    for asked in report.asked:
        assert asked.candidate.rank == ranked[asked.ids[0]]
        assert b"".join(map(engine.tokenizer.piece, asked.ids)).decode() == asked.text


def test_an_empty_prompt_without_bos_is_refused(engine: LlamaEngine) -> None:
    """There is nothing to compute a distribution after."""
    with pytest.raises(InputError, match="no BOS"):
        next_token(engine, b"", SamplingOptions(), 3)


def test_a_continuation_is_what_joining_adds(engine: LlamaEngine) -> None:
    """Where the joined text begins with the prompt's own tokens, the rest is the continuation."""
    tokenizer = engine.tokenizer
    ids, rejoined = continuation(b"The quick", " brown", tokenizer)
    joined = tokenizer.encode(b"The quick brown", bos=False, eos=False)
    assert not rejoined
    assert tokenizer.encode(b"The quick", bos=False, eos=False) + ids == joined


def test_joining_that_changes_the_prompt_is_said(stories: Path) -> None:
    """'Onc' + 'e' is one token with the prompt's own end; then the text stands by itself."""
    from llmcli.engine.llama.model import LlamaModel

    with LlamaModel(stories, vocab_only=True) as model:
        ids, rejoined = continuation(b"Onc", "e", model.vocabulary)
        assert rejoined
        assert ids == model.vocabulary.encode(b"e", bos=False, eos=False)


class _Numbers:
    """A vocabulary whose tokens are their own numbers: only pieces are asked of it here."""

    name = "numbers"
    n_tokens = 1 << 20
    adds_space_prefix = False

    def piece(self, token_id: int) -> bytes:
        return str(token_id).encode()

    def encode(
        self, text: bytes, *, parse_special: bool = True, bos: bool | None = None, eos: bool | None = None
    ) -> list[int]:
        return [int(text)]

    def is_special(self, token_id: int) -> bool:
        return False

    def special_tokens(self) -> tuple[()]:
        return ()
