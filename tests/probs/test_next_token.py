"""The next token of a real model: what `llmcli probs` reports, against the raw logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InputError, WindowFullError
from llmcli.probs.next_token import continuation, next_token
from llmcli.settings.engine import EngineOptions
from llmcli.settings.option import build
from llmcli.settings.sampling import SamplingOptions
from tests.cli.program import Program

PROMPT = b"the quick brown"
PLAIN = {"top_k": "0", "top_p": "1", "min_p": "0", "temp": "1"}
"""Options with which the sampler chain changes nothing."""


def sampling(**given: str) -> SamplingOptions:
    """Sampling options as they are given on the command line."""
    return build(SamplingOptions, given)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The textbook's, in float64."""
    powers = np.exp(logits - logits.max())
    result: NDArray[np.float64] = powers / powers.sum()
    return result


def test_the_report_is_the_softmax_of_the_raw_logits(engine: LlamaEngine) -> None:
    """Before any sampler, whatever the options are."""
    report = next_token(engine, PROMPT, sampling(temp="0.1", top_k="2"), 1000)
    wide = engine.logits().astype(np.float64)
    probs = softmax(wide)
    assert report.n_prompt_tokens == len(engine.cached)
    assert len(report.top) == engine.tokenizer.n_tokens
    assert [c.prob for c in report.top] == pytest.approx([probs[c.id] for c in report.top])
    assert sum(c.prob for c in report.top) == pytest.approx(1)
    assert report.top[-1].cumulative == pytest.approx(1)
    assert report.entropy_bits == pytest.approx(-np.sum(probs * np.log2(probs)))


def test_sampled_prob_without_samplers_is_prob(engine: LlamaEngine) -> None:
    """A chain that changes nothing draws from the model's own distribution."""
    report = next_token(engine, PROMPT, sampling(**PLAIN), 20)
    assert report.chain == ()
    assert [c.sampled_prob for c in report.top] == pytest.approx([c.prob for c in report.top], rel=1e-5)


def test_sampled_prob_of_temperature_and_top_k(engine: LlamaEngine) -> None:
    """Recomputed by hand: the k best, divided by the temperature, softmax."""
    report = next_token(engine, PROMPT, sampling(**PLAIN | {"temp": "0.7", "top_k": "5"}), 8)
    assert report.chain == ("top_k", "temperature")
    wanted = softmax(np.array([c.logit for c in report.top[:5]]) / 0.7)
    assert [c.sampled_prob for c in report.top[:5]] == pytest.approx(wanted, rel=1e-5)
    assert [c.sampled_prob for c in report.top[5:]] == [0, 0, 0]


def test_sampled_prob_is_what_is_drawn(engine: LlamaEngine) -> None:
    """The same options, drawn 400 times: only survivors come, each about as often as it says."""
    options = sampling(top_k="3", temp="1.5")
    report = next_token(engine, PROMPT, options, 3)
    drawn = []
    sampler = engine.sampler(sampling(top_k="3", temp="1.5", seed="1"), list(engine.cached))
    for _ in range(400):
        drawn.append(sampler.sample())
    sampler.close()
    for candidate in report.top:
        assert drawn.count(candidate.id) / 400 == pytest.approx(candidate.sampled_prob, abs=0.1)
    assert set(drawn) <= {c.id for c in report.top}


def test_greedy_draws_one_token(engine: LlamaEngine) -> None:
    """--temp 0 gives the most probable token everything."""
    report = next_token(engine, PROMPT, sampling(temp="0"), 3)
    assert [c.sampled_prob for c in report.top] == [1, 0, 0]


def test_a_random_sampler_is_left_out(engine: LlamaEngine) -> None:
    """XTC would give another answer each time; the report says that it is missing."""
    report = next_token(engine, PROMPT, sampling(xtc_probability="0.5"), 3)
    assert report.skipped == ("xtc",)
    assert "xtc" not in report.chain


def test_asked_tokens(engine: LlamaEngine) -> None:
    """One of one token and one of several, each with its rank among all."""
    report = next_token(engine, PROMPT, sampling(), 485, [" fox", "xyz"])
    fox, xyz = report.asked
    assert fox.candidate == next(c for c in report.top if c.id == fox.ids[0])
    assert fox.candidate.rank == report.top.index(fox.candidate) + 1
    assert b"".join(map(engine.tokenizer.piece, fox.ids)) == b" fox"
    assert len(xyz.ids) > 1
    assert xyz.candidate.id == xyz.ids[0]
    assert not fox.rejoined


def test_joining_may_change_the_prompt_s_last_token(stories: Path) -> None:
    """Then it is said, and the text is taken by itself."""
    with LlamaEngine.load(stories, EngineOptions(threads=1)) as engine:
        tokenizer = engine.tokenizer
        ids, rejoined = continuation(b"Once upon a ti", "me", tokenizer)
        assert rejoined
        assert ids == tokenizer.encode(b"me", bos=False, eos=False)
        ids, rejoined = continuation(b"Once upon a", " time", tokenizer)
        assert not rejoined
        assert [tokenizer.piece(i) for i in ids] == [b" time"]
        report = next_token(engine, b"Once upon a", sampling(), 1, [" time"])
        assert report.asked[0].candidate == report.top[0]
        assert report.n_prompt_tokens == 1 + len(tokenizer.encode(b"Once upon a", bos=False))


def test_what_can_t_be_asked(engine: LlamaEngine) -> None:
    """No prompt, no text, and a prompt larger than the window."""
    with pytest.raises(InputError):
        next_token(engine, b"", sampling(), 1)
    with pytest.raises(InputError):
        next_token(engine, PROMPT, sampling(), 1, [""])
    with pytest.raises(WindowFullError):
        next_token(engine, b"the fox " * 600, sampling(), 1)


def test_the_program_says_the_same(tiny_model: Path, tmp_path: Path, engine: LlamaEngine) -> None:
    """`llmcli probs --json` carries the report, in the contract's keys."""
    report = next_token(engine, PROMPT, sampling(), 4, [" fox"])
    data = (
        Program(tmp_path, tiny_model)("probs", PROMPT.decode(), "-k", "4", "--token", " fox", "--json")
        .succeeded()
        .json
    )
    assert {"model", "prompt", "n_prompt_tokens", "entropy_bits", "sampling", "top", "asked"} <= set(data)
    assert list(data["top"][0]) == [
        "rank",
        "id",
        "text",
        "bytes",
        "logit",
        "logprob",
        "prob",
        "cumulative",
        "sampled_prob",
    ]
    assert data["prompt"] == PROMPT.decode()
    assert data["entropy_bits"] == pytest.approx(report.entropy_bits)
    for got, wanted in zip(
        [*data["top"], *data["asked"]], [*report.top, report.asked[0].candidate], strict=True
    ):
        assert (got["rank"], got["id"], bytes(got["bytes"])) == (wanted.rank, wanted.id, wanted.piece)
        assert got["prob"] == pytest.approx(wanted.prob, rel=1e-4)
        assert got["sampled_prob"] == pytest.approx(wanted.sampled_prob, rel=1e-4)
