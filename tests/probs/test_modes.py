"""The sampler chain stage by stage, the loop step by step, two distributions against each other, the walk."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import EngineError, InputError, ModelError
from llmcli.probs.chain import chain
from llmcli.probs.explorer import Explorer
from llmcli.probs.next_token import next_token
from llmcli.probs.prompt import Prompt
from llmcli.probs.score import score
from llmcli.probs.steps import Begun, Step, steps
from llmcli.probs.versus import check_same_vocabulary, versus, versus_model, versus_prompt
from llmcli.settings.engine import EngineOptions
from llmcli.settings.option import build
from llmcli.settings.sampling import SamplingOptions
from tests.models import make_model
from tests.probs.test_distribution import Letters

PROMPT = Prompt.plain(b"the quick brown")
EVERYTHING = {
    "logit_bias": ["5+2"],
    "repeat_penalty": "1.1",
    "dry_multiplier": "0.8",
    "top_nsigma": "4",
    "top_k": "30",
    "typical": "0.98",
    "top_p": "0.97",
    "min_p": "0.01",
    "temp": "1.4",
}
ORDER = ["logit_bias", "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "temperature"]


def sampling(**given: object) -> SamplingOptions:
    """Sampling options as they are given on the command line."""
    return build(SamplingOptions, given)


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's vocabulary with other weights."""
    return make_model(tmp_path_factory.mktemp("models") / "other.gguf", seed=1)


class TestChain:
    """`chain`."""

    def test_every_sampler_in_llama_cpp_s_order(self, engine: LlamaEngine) -> None:
        """Each with what it kept; who is dropped somewhere has left for good, and all are accounted for."""
        report = chain(engine, PROMPT, sampling(**EVERYTHING), 500)
        assert [stage.name for stage in report.stages] == ORDER
        left = {token.id for token in report.raw.candidates}
        assert len(left) == report.raw.kept == engine.tokenizer.n_tokens
        for stage in report.stages:
            now = {token.id for token in stage.candidates}
            assert len(now) == stage.kept
            assert {token.id for token in stage.dropped} == left - now
            assert stage.n_dropped == len(left - now)
            assert math.fsum(token.prob for token in stage.candidates) == pytest.approx(1)
            assert stage.mass_dropped == pytest.approx(math.fsum(token.prob for token in stage.dropped))
            left = now

    def test_its_ends_are_prob_and_sampled_prob(self, engine: LlamaEngine) -> None:
        """The first is the model's own distribution, the last what is drawn from."""
        options = sampling(**EVERYTHING)
        report = chain(engine, PROMPT, options, 20)
        wanted = next_token(engine, PROMPT, options, 500)
        probs = {c.id: c.prob for c in wanted.top}
        drawn = {c.id: c.sampled_prob for c in wanted.top}
        assert [probs[t.id] for t in report.raw.candidates] == pytest.approx(
            [t.prob for t in report.raw.candidates]
        )
        last = {token.id: token.prob for token in report.stages[-1].candidates}
        assert last == pytest.approx({i: p for i, p in drawn.items() if i in last})
        for survivor, row in report.rows:
            assert row[0] == pytest.approx(probs[survivor.id])
            assert row[-1] == pytest.approx(drawn[survivor.id])

    def test_a_chain_that_does_nothing(self, engine: LlamaEngine) -> None:
        """No stages, and the model's own distribution is drawn from."""
        nothing = sampling(top_k="0", top_p="1", min_p="0", temp="1")
        assert chain(engine, PROMPT, nothing, 3).stages == ()

    def test_greedy(self, engine: LlamaEngine) -> None:
        """Temperature 0 leaves one."""
        [stage] = chain(engine, PROMPT, sampling(temp="0"), 3).stages
        assert (stage.name, stage.kept, stage.candidates[0].prob) == ("temperature", 1, 1.0)


class TestSteps:
    """`steps`."""

    def test_greedy_takes_the_most_probable(self, engine: LlamaEngine) -> None:
        """Each step goes on from what the last one chose."""
        begun, *done = steps(engine, PROMPT, sampling(), 4, 6, "greedy")
        assert isinstance(begun, Begun)
        ids = PROMPT.ids(engine.tokenizer)
        for step in done:
            assert isinstance(step, Step)
            engine.ready(ids)
            assert step.chosen == step.top[0]
            assert step.chosen.id == int(np.argmax(engine.logits()))
            ids.append(step.chosen.id)
        assert len(done) == 6

    def test_sampling_is_chat_s(self, engine: LlamaEngine) -> None:
        """With a seed it draws what the sampler chain draws, one token after the other."""
        options = sampling(seed="3", temp="1.5", repeat_penalty="1.2")
        _begun, *done = steps(engine, PROMPT, options, 2, 8, "sample")
        ids = PROMPT.ids(engine.tokenizer)
        engine.ready(ids)
        sampler = engine.sampler(options, ids)
        drawn = []
        for _ in done:
            drawn.append(sampler.sample())
            engine.feed(drawn[-1])
        sampler.close()
        assert [step.chosen.id for step in done if isinstance(step, Step)] == drawn

    def test_it_ends_with_the_window_and_with_the_text(self, tiny_model: Path, engine: LlamaEngine) -> None:
        """A full window, or a token with which the model ends, is the last step."""
        with LlamaEngine.load(tiny_model, EngineOptions(threads=1, ctx_size=256)) as small:
            n = len(PROMPT.ids(small.tokenizer))
            done = list(steps(small, PROMPT, sampling(logit_bias=["482-inf"]), 1, 999, "greedy"))
            assert len(done) == 1 + 256 - n + 1
        _begun, step = steps(engine, PROMPT, sampling(logit_bias=["482+99"]), 1, 9, "greedy")
        assert isinstance(step, Step)
        assert step.ends == engine.ends_reply(482)
        assert step.ends


LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=6, max_size=6)


class TestVersus:
    """`versus` and its relatives."""

    @given(LOGITS, LOGITS)
    def test_divergences_against_the_textbook(self, one: list[float], other: list[float]) -> None:
        """KL and JS as sums over the tokens; JS between 0 and 1 and the same both ways."""
        p, q = (np.exp(np.array(x) - max(x)) / np.exp(np.array(x) - max(x)).sum() for x in (one, other))
        rows = np.array([one, other], np.float32)
        report = versus(rows[0], rows[1], 6, Letters())
        m = (p + q) / 2

        def kl(a: np.ndarray, b: np.ndarray) -> float:
            return math.fsum(x * math.log2(x / y) for x, y in zip(a, b, strict=True) if x > 0)

        assert report.kl_bits == pytest.approx(kl(p, q), abs=1e-6)
        assert report.js_bits == pytest.approx((kl(p, m) + kl(q, m)) / 2, abs=1e-6)
        assert report.js_bits == pytest.approx(versus(rows[1], rows[0], 6, Letters()).js_bits)
        assert 0 <= report.js_bits <= 1
        assert report.same_top == (int(np.argmax(rows[0])) == int(np.argmax(rows[1])))
        moved = [abs(mover.prob - mover.versus_prob) for mover in report.movers]
        assert moved == sorted(moved, reverse=True)

    def test_a_model_against_itself(self, engine: LlamaEngine, tiny_model: Path) -> None:
        """Nothing moves."""
        with LlamaEngine.load(tiny_model, EngineOptions(threads=1)) as same:
            report = versus_model(engine, same, Prompt.plain(b"the quick brown fox"), 3)
        assert report.mean("same_top") == 1
        assert report.mean("kl_bits") == 0 == pytest.approx(report.mean("js_bits"), abs=1e-12)

    def test_token_by_token(self, engine: LlamaEngine, other_model: Path) -> None:
        """Each token's logprob is its score under either model, in windows of the smaller one's size."""
        text = Prompt.plain(b"the quick brown fox jumps over the lazy dog " * 20)
        with (
            LlamaEngine.load(other_model, EngineOptions(threads=1, ctx_size=256)) as other,
        ):
            report = versus_model(engine, other, text, 3)
            assert len(report.tokens) == len(text.ids(engine.tokenizer)) - 1 > 256
            wanted = score(other, text, 1)
        assert [t.versus_logprob for t in report.tokens] == pytest.approx(
            [t.logprob for t in wanted.tokens[1:]], abs=1e-2
        )
        assert report.perplexities[1] == pytest.approx(wanted.perplexity, rel=1e-2)
        assert report.mean("kl_bits") > 1

    def test_two_beginnings(self, engine: LlamaEngine, tiny_model: Path) -> None:
        """The tokens in which two prompts end, each after its own beginning."""
        one, other = (Prompt.plain(t + b" the lazy dog") for t in (b"the fox jumps over", b"x"))
        with LlamaEngine.load(tiny_model, EngineOptions(threads=1)) as second:
            report = versus_prompt(engine, second, one, other, 3)
            scores = [score(engine, prompt, 1).tokens for prompt in (one, other)]
            n = len(report.tokens)
            assert b"".join(t.piece for t in report.tokens).endswith(b" the lazy dog")
            for token, a, b in zip(report.tokens, scores[0][-n:], scores[1][-n:], strict=True):
                assert token.id == a.id == b.id
                assert token.logprob == pytest.approx(a.logprob, abs=1e-2)
                assert token.versus_logprob == pytest.approx(b.logprob, abs=1e-2)
            with pytest.raises(InputError, match="do not end in the same tokens"):
                versus_prompt(engine, second, one, Prompt.plain(b"the lazy cow"), 3)

    def test_two_vocabularies(self, engine: LlamaEngine, other_model: Path, tmp_path: Path) -> None:
        """The same one passes; another is refused with the first difference."""
        with LlamaEngine.load(other_model, EngineOptions(threads=1)) as other:
            check_same_vocabulary(engine.tokenizer, other.tokenizer)
        with pytest.raises(ModelError, match="485 and 40 tokens"):
            check_same_vocabulary(engine.tokenizer, Letters())


class TestExplorer:
    """`Explorer`: what the screen walks through."""

    def test_forth_and_back_evaluate_nothing_twice(self, engine: LlamaEngine) -> None:
        """Back is free, there again as well, and another branch costs its own tokens."""
        explorer = Explorer(engine, PROMPT.ids(engine.tokenizer), sampling())
        first, second = (c.id for c in explorer.top(2)[:2])
        n = engine.n_evaluated
        explorer.choose(first)
        explorer.choose(explorer.top(1)[0].id)
        there = explorer.distribution.logprobs
        assert engine.n_evaluated == n + 2
        assert explorer.back() is not None
        assert explorer.back() == first
        assert explorer.back() is None
        explorer.choose(second)
        assert engine.n_evaluated == n + 3
        explorer.back()
        explorer.choose(first)
        explorer.choose(explorer.tried[-1])
        assert (explorer.distribution.logprobs == there).all()
        assert engine.n_evaluated == n + 3

    def test_what_was_tried_is_remembered(self, engine: LlamaEngine) -> None:
        """The last choice last, also one that is not among the top."""
        explorer = Explorer(engine, PROMPT.ids(engine.tokenizer), sampling())
        last = explorer.top(300)[-1].id
        for token_id in (7, last, 9):
            explorer.choose(token_id)
            explorer.back()
        explorer.choose(7)
        explorer.back()
        assert list(explorer.tried) == [last, 9, 7]
        assert {last, 9, 7} <= {c.id for c in explorer.top(3)}

    def test_samplers_change_what_is_drawn_from(self, engine: LlamaEngine) -> None:
        """At once, and without evaluating anything."""
        explorer = Explorer(engine, PROMPT.ids(engine.tokenizer), sampling())
        before = explorer.top(1)[0].sampled_prob
        n = engine.n_evaluated
        explorer.set(temp=0.0)
        assert explorer.top(2)[0].sampled_prob == 1 > before
        explorer.set(temp=1.0, top_k=3, top_p=1.0, min_p=0.0)
        assert [c.sampled_prob > 0 for c in explorer.top(5)] == [True] * 3 + [False] * 2
        assert engine.n_evaluated == n

    def test_generate(self, engine: LlamaEngine) -> None:
        """Draws what chat would draw; the walk stands at the end of it, and steps back through it."""
        explorer = Explorer(engine, PROMPT.ids(engine.tokenizer), sampling(seed="5", predict="6"))
        ids = list(explorer.generate())
        assert list(explorer.path) == ids
        n = engine.n_evaluated
        for token_id in reversed(ids):
            assert explorer.back() == token_id
            assert explorer.top(1)
        assert engine.n_evaluated == n

    def test_a_broken_model(self, tmp_path: Path) -> None:
        """Logits that are no numbers reach no sampler."""
        broken = make_model(tmp_path / "broken.gguf", broken=True)
        with LlamaEngine.load(broken, EngineOptions(threads=1)) as engine:
            explorer = Explorer(engine, PROMPT.ids(engine.tokenizer), sampling())
            for ask in (lambda: explorer.top(3), lambda: next(explorer.generate())):
                with pytest.raises(EngineError, match="computed nan"):
                    ask()
            for walk in (chain, next_token):
                with pytest.raises(EngineError, match="computed nan"):
                    walk(engine, PROMPT, sampling(), 3)
