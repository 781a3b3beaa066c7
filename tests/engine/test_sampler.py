"""The sampler chain: its order, what each stage leaves, and that it draws from what it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.sampling import SamplingOptions
from tests.engine.sampling import ALL, OFF, PROMPT, reply_of, softmax, stage_names


class TestStages:
    """The chain, stage by stage."""

    def test_stand_in_the_contracts_order(self, loaded: LlamaEngine) -> None:
        """With everything on, the stages come in llama.cpp's order; XTC is random and left out."""
        sampler = loaded.sampler(SamplingOptions(**ALL, grammar='root ::= "a" | "b"'))
        assert [stage.name for stage in sampler.stages()] == [
            "grammar",
            "logit_bias",
            "penalties",
            "dry",
            "top_n_sigma",
            "top_k",
            "typ_p",
            "top_p",
            "min_p",
            "temperature",
        ]
        assert sampler.skipped == ("xtc",)

    def test_are_the_defaults(self, loaded: LlamaEngine) -> None:
        """By default top_k, top_p, min_p and temperature act, and nothing is skipped."""
        sampler = loaded.sampler(SamplingOptions())
        assert [(stage.name, stage.params) for stage in sampler.stages()] == [
            ("top_k", {"k": 40}),
            ("top_p", {"p": 0.95}),
            ("min_p", {"p": 0.05}),
            ("temperature", {"temp": 0.8}),
        ]
        assert sampler.skipped == ()

    @pytest.mark.parametrize("option", [*ALL, "frequency_penalty", "presence_penalty"])
    def test_each_option_has_its_own(self, loaded: LlamaEngine, option: str) -> None:
        """One option on alone puts exactly its one stage in the chain; all off, there is none."""
        value = ALL.get(option, 0.5)
        names = {
            "repeat_penalty": "penalties",
            "frequency_penalty": "penalties",
            "presence_penalty": "penalties",
            "dry_multiplier": "dry",
            "top_nsigma": "top_n_sigma",
            "typical": "typ_p",
            "temp": "temperature",
        }
        assert stage_names(loaded, SamplingOptions(**OFF)) == []
        sampler = loaded.sampler(SamplingOptions(**{**OFF, option: value}))
        names_now = [stage.name for stage in sampler.stages()]
        if option == "xtc_probability":
            assert (names_now, sampler.skipped) == ([], ("xtc",))
        else:
            assert (names_now, sampler.skipped) == ([names.get(option, option)], ())

    def test_draw_nothing(self, engine: LlamaEngine) -> None:
        """Looking at the stages, any number of times, changes neither them nor the next draws."""
        engine.ready(PROMPT)
        options = SamplingOptions(**ALL, seed=3)
        looked_at, other = engine.sampler(options, PROMPT), engine.sampler(options, PROMPT)
        first = looked_at.stages()
        for stage, again in zip(first, looked_at.stages(), strict=True):
            np.testing.assert_array_equal(stage.ids, again.ids)
            np.testing.assert_array_equal(stage.logits, again.logits)
        assert [looked_at.sample() for _ in range(5)] == [other.sample() for _ in range(5)]

    def test_agree_with_numpy(self, loaded: LlamaEngine) -> None:
        """top_k, top_p, min_p and temperature leave what an independent computation leaves."""
        k, p, min_p, temp = 60, 0.9, 0.1, 0.6
        logits = loaded.logits()
        order = np.argsort(-logits, kind="stable")
        expected = {"top_k": order[:k]}
        probs = softmax(logits[expected["top_k"]])
        expected["top_p"] = expected["top_k"][: int(np.searchsorted(np.cumsum(probs), p)) + 1]
        left = expected["top_p"]
        expected["min_p"] = left[logits[left] >= logits[left[0]] + np.log(min_p)]
        expected["temperature"] = expected["min_p"]
        assert 1 < len(expected["min_p"]) < len(left) < k, "each sampler takes something away"
        sampler = loaded.sampler(SamplingOptions(top_k=k, top_p=p, min_p=min_p, temp=temp))
        for stage in sampler.stages():
            scale = temp if stage.name == "temperature" else 1.0
            by_id = dict(zip(stage.ids.tolist(), stage.logits.tolist(), strict=True))
            assert by_id.keys() == set(expected[stage.name].tolist()), stage.name
            for token_id, logit in by_id.items():
                assert logit == pytest.approx(logits[token_id] / scale, rel=1e-5)

    def test_more_agree_with_numpy(self, loaded: LlamaEngine) -> None:
        """top_n_sigma, typ_p, penalties and biases, each alone, do what their papers and help texts say."""
        logits = loaded.logits().astype(np.float64)

        def only_stage(prompt: list[int] | None = None, **on: Any) -> dict[int, float]:
            (stage,) = loaded.sampler(SamplingOptions(**{**OFF, **on}), prompt or []).stages()
            return dict(zip(stage.ids.tolist(), stage.logits.tolist(), strict=True))

        kept = np.flatnonzero(logits >= logits.max() - 1.5 * logits.std())
        assert only_stage(top_nsigma=1.5).keys() == set(kept.tolist())

        probs = softmax(loaded.logits())
        surprise = np.abs(-np.log(probs) + np.sum(probs * np.log(probs)))
        order = np.argsort(surprise, kind="stable")
        n = int(np.searchsorted(np.cumsum(probs[order]), 0.5)) + 1
        assert only_stage(typical=0.5).keys() == set(order[:n].tolist())

        penalized = only_stage([5, 5, 6], frequency_penalty=0.5, presence_penalty=0.25, repeat_penalty=2.0)
        for token_id in range(480):
            count = {5: 2, 6: 1}.get(token_id, 0)
            logit = logits[token_id]
            if count:
                logit = (logit * 2.0 if logit <= 0 else logit / 2.0) - 0.5 * count - 0.25
            assert penalized[token_id] == pytest.approx(logit, rel=1e-5, abs=1e-5)

        biased = only_stage(logit_bias=((7, 2.5), (8, -float("inf"))))
        assert biased[7] == pytest.approx(logits[7] + 2.5, rel=1e-5)
        assert 8 not in biased


class TestDrawing:
    """What is drawn is drawn from the last stage."""

    def test_temperature_0_is_the_most_probable(self, engine: LlamaEngine) -> None:
        """Greedy takes the argmax at every step, whatever the seed and the other samplers."""
        engine.ready(PROMPT)
        sampler = engine.sampler(SamplingOptions(temp=0.0, seed=1, xtc_probability=1.0, top_k=3))
        (stage,) = sampler.stages()
        assert stage.ids.tolist() == [int(np.argmax(engine.logits()))]
        for _ in range(20):
            token_id = sampler.sample()
            assert token_id == int(np.argmax(engine.logits()))
            engine.feed(token_id)

    def test_the_same_seed_writes_the_same(self, engine: LlamaEngine) -> None:
        """A seed determines the reply; another seed gives another one."""
        one, again, other = (reply_of(engine, SamplingOptions(seed=s)) for s in (7, 7, 8))
        assert one == again != other

    @pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 2])
    def test_every_seed_that_can_be_asked_for_is_kept(self, loaded: LlamaEngine, seed: int) -> None:
        """Two samplers of one seed draw the same."""
        one, two = (loaded.sampler(SamplingOptions(**OFF, seed=seed)) for _ in range(2))
        assert one.seed == two.seed == seed
        assert [one.sample() for _ in range(20)] == [two.sample() for _ in range(20)]

    @pytest.mark.parametrize("seed", [None, -1])
    def test_without_a_seed_one_is_chosen_and_told(self, loaded: LlamaEngine, seed: int | None) -> None:
        """The seed of a random reply can be read, and gives that reply again."""
        random = loaded.sampler(SamplingOptions(**OFF, seed=seed))
        again = loaded.sampler(SamplingOptions(**OFF, seed=random.seed))
        assert [random.sample() for _ in range(20)] == [again.sample() for _ in range(20)]
        assert random.seed != loaded.sampler(SamplingOptions(**OFF, seed=seed)).seed

    @pytest.mark.parametrize("more", [{}, OFF, {"top_k": 5, "temp": 1.5}, {"top_nsigma": 1.0}])
    def test_frequencies_are_those_of_the_last_stage(self, loaded: LlamaEngine, more: dict[str, Any]) -> None:
        """10,000 draws agree with the probabilities that the chain shows (chi-square, p > 0.001)."""
        sampler = loaded.sampler(SamplingOptions(**{**more, "seed": 11}))
        stages = sampler.stages()
        probs = np.zeros(485)
        if stages:
            probs[stages[-1].ids] = softmax(stages[-1].logits)
        else:
            probs = softmax(loaded.logits())
        n = 10_000
        counts = np.bincount([sampler.sample() for _ in range(n)], minlength=485)
        assert not counts[probs == 0].any()
        # Tokens too rare to count on are put together.
        often = probs * n >= 5
        expected = np.append(probs[often], probs[~often].sum()) * n
        found = np.append(counts[often], counts[~often].sum())
        if expected[-1] < 1:
            expected, found = expected[:-1], found[:-1]
        statistic = float(np.sum((found - expected) ** 2 / expected))
        df = len(expected) - 1
        # Wilson and Hilferty's approximation of the quantile at 0.999 (z = 3.09).
        assert statistic < df * (1 - 2 / (9 * df) + 3.09 * np.sqrt(2 / (9 * df))) ** 3

    def test_a_bias_of_minus_infinity_is_never_drawn(self, loaded: LlamaEngine) -> None:
        """The most probable tokens, forbidden, do not occur in 2,000 draws."""
        forbidden = np.argsort(-loaded.logits())[:3].tolist()
        biases = tuple((i, -float("inf")) for i in forbidden)
        sampler = loaded.sampler(SamplingOptions(**OFF, logit_bias=biases, seed=1))
        assert not {sampler.sample() for _ in range(2000)} & set(forbidden)

    def test_xtc_leaves_out_the_top_choices(self, loaded: LlamaEngine) -> None:
        """With probability 1 only the least probable of the tokens above the threshold remains of them."""
        probs = softmax(loaded.logits())
        above = np.flatnonzero(probs >= 0.02)
        assert len(above) > 2
        gone = set(above.tolist()) - {int(above[np.argmin(probs[above])])}
        options = SamplingOptions(**OFF, xtc_probability=1.0, xtc_threshold=0.02, seed=1)
        sampler = loaded.sampler(options)
        assert not {sampler.sample() for _ in range(500)} & gone
