"""The next token of a real model: what `llmcli probs` reports, against the raw logits."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InputError, WindowFullError
from llmcli.probs.next_token import at_temperatures, next_token
from llmcli.probs.prompt import Prompt, continuation
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
    report = next_token(engine, Prompt.plain(PROMPT), sampling(temp="0.1", top_k="2"), 1000)
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
    report = next_token(engine, Prompt.plain(PROMPT), sampling(**PLAIN), 20)
    assert report.chain == ()
    assert [c.sampled_prob for c in report.top] == pytest.approx([c.prob for c in report.top], rel=1e-5)


def test_sampled_prob_of_temperature_and_top_k(engine: LlamaEngine) -> None:
    """Recomputed by hand: the k best, divided by the temperature, softmax."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(**PLAIN | {"temp": "0.7", "top_k": "5"}), 8)
    assert report.chain == ("top_k", "temperature")
    wanted = softmax(np.array([c.logit for c in report.top[:5]]) / 0.7)
    assert [c.sampled_prob for c in report.top[:5]] == pytest.approx(wanted, rel=1e-5)
    assert [c.sampled_prob for c in report.top[5:]] == [0, 0, 0]


@pytest.mark.parametrize(
    "given",
    [{"temp": "1.5"}, {"temp": "2", "top_k": "0", "top_p": "1", "min_p": "0.01", "typical": "0.9"}],
    ids=["default", "typical"],
)
def test_sampled_prob_is_what_is_drawn(engine: LlamaEngine, given: dict[str, str]) -> None:
    """20,000 draws from the same chain: only survivors come, each as often as it says."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(**given), 1000)
    sampler = engine.sampler(sampling(seed="7", **given), list(engine.cached))
    drawn = [sampler.sample() for _ in range(20_000)]
    sampler.close()
    check_frequencies(drawn, {c.id: c.sampled_prob for c in report.top})


def test_sampled_prob_with_penalties_is_what_is_drawn(engine: LlamaEngine) -> None:
    """They look back on what was drawn: so each draw has a chain of its own."""
    given = {"repeat_penalty": "1.3", "presence_penalty": "0.5", "top_nsigma": "3", "temp": "1.5"}
    report = next_token(engine, Prompt.plain(PROMPT), sampling(**given), 1000)
    drawn = []
    for seed in range(3_000):
        sampler = engine.sampler(sampling(seed=str(seed), **given), list(engine.cached))
        drawn.append(sampler.sample())
        sampler.close()
    check_frequencies(drawn, {c.id: c.sampled_prob for c in report.top})


def check_frequencies(drawn: list[int], probs: dict[int, float]) -> None:
    """Pearson's chi-square test, with tokens expected less than five times taken together."""
    counts = Counter(drawn)
    assert set(counts) <= {token_id for token_id, prob in probs.items() if prob > 0}
    often = {i for i, prob in probs.items() if prob * len(drawn) >= 5}
    cells = [(counts[i], probs[i] * len(drawn)) for i in often]
    rest = len(drawn) - sum(expected for _seen, expected in cells)
    if rest > 1:
        cells.append((len(drawn) - sum(counts[i] for i in often), rest))
    chi_square = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    freedom = len(cells) - 1
    assert freedom > 3
    # Five standard deviations above the mean of the chi-square distribution: not once in a million runs.
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)


def test_temperatures_side_by_side(engine: LlamaEngine) -> None:
    """The whole vocabulary's softmax of the logits divided by each temperature; 0 is the best one alone."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(), 4)
    greedy, half, one, tiny = at_temperatures(engine, report, [0.0, 0.5, 1.0, 1e-6])
    assert list(greedy.probs) == [1, 0, 0, 0]
    assert tiny.probs == pytest.approx(greedy.probs)
    wide = engine.logits().astype(np.float64)
    assert half.probs == pytest.approx([softmax(wide / 0.5)[c.id] for c in report.top])
    assert one.probs == pytest.approx([c.prob for c in report.top])
    assert one.entropy_bits == pytest.approx(report.entropy_bits)
    assert greedy.entropy_bits == 0


def test_greedy_draws_one_token(engine: LlamaEngine) -> None:
    """--temp 0 gives the most probable token everything."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(temp="0"), 3)
    assert [c.sampled_prob for c in report.top] == [1, 0, 0]


def test_a_random_sampler_is_left_out(engine: LlamaEngine) -> None:
    """XTC would give another answer each time; the report says that it is missing."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(xtc_probability="0.5"), 3)
    assert report.skipped == ("xtc",)
    assert "xtc" not in report.chain


def test_asked_tokens(engine: LlamaEngine) -> None:
    """One of one token and one of several, each with its rank among all."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(), 485, [" fox", "xyz"])
    fox, xyz = report.asked
    listed = report.top[fox.candidate.rank - 1]
    assert astuple(fox.candidate) == pytest.approx(astuple(listed))
    assert listed.id == fox.ids[0]
    assert b"".join(map(engine.tokenizer.piece, fox.ids)) == b" fox"
    assert len(xyz.ids) > 1
    assert xyz.candidate.id == xyz.ids[0]
    assert not fox.rejoined


def test_joining_may_change_the_prompt_s_last_token(stories: Path) -> None:
    """Then it is said, and the text is taken by itself."""
    with LlamaEngine.load(stories, EngineOptions(threads=1)) as engine:
        tokenizer = engine.tokenizer
        found = continuation(Prompt.plain(b"Once upon a ti"), "me", tokenizer)
        assert found.rejoined
        assert b"".join(map(tokenizer.piece, found.ids)) == b"me"
        found = continuation(Prompt.plain(b"Once upon a"), " time", tokenizer)
        assert not found.rejoined
        assert [tokenizer.piece(i) for i in found.ids] == [b" time"]
        report = next_token(engine, Prompt.plain(b"Once upon a"), sampling(), 1, [" time"])
        assert report.asked[0].candidate == report.top[0]
        assert report.n_prompt_tokens == 1 + len(tokenizer.encode(b"Once upon a", bos=False))


def test_what_can_t_be_asked(engine: LlamaEngine) -> None:
    """No prompt, no text, and a prompt larger than the window."""
    with pytest.raises(InputError):
        next_token(engine, Prompt.plain(b""), sampling(), 1)
    with pytest.raises(InputError):
        next_token(engine, Prompt.plain(PROMPT), sampling(), 1, [""])
    with pytest.raises(WindowFullError):
        next_token(engine, Prompt.plain(b"the fox " * 600), sampling(), 1)


def test_the_program_says_the_same(tiny_model: Path, tmp_path: Path, engine: LlamaEngine) -> None:
    """`llmcli probs --json` carries the report, in the contract's keys."""
    report = next_token(engine, Prompt.plain(PROMPT), sampling(), 4, [" fox"])
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
