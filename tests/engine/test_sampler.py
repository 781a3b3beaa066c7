"""The sampler chain: its order, what each stage leaves, and that it draws from what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InputError, UsageError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions

PROMPT = [481, 84, 82, 297, 198, 64, 64, 65]

OFF: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temp": 1.0}
"""Every sampler off: the plain distribution is drawn from."""

ALL: dict[str, Any] = {
    "logit_bias": ((3, 1.0),),
    "repeat_penalty": 1.1,
    "dry_multiplier": 0.8,
    "top_nsigma": 3.0,
    "top_k": 100,
    "typical": 0.99,
    "top_p": 0.98,
    "min_p": 0.001,
    "xtc_probability": 0.5,
    "temp": 0.7,
}
"""Every sampler on."""


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> Iterator[LlamaEngine]:
    """An engine with the prompt evaluated, for tests that only look at its logits."""
    with LlamaEngine.load(tiny_model, EngineOptions(threads=1)) as engine:
        engine.ready(PROMPT)
        yield engine


def stage_names(engine: LlamaEngine, options: SamplingOptions) -> list[str]:
    return [stage.name for stage in engine.sampler(options).stages()]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max())
    wide /= wide.sum()
    return wide


def reply_of(engine: LlamaEngine, options: SamplingOptions, n: int = 40) -> list[int]:
    """Up to `n` tokens written after PROMPT, the end of the reply left out."""
    engine.ready(PROMPT)
    sampler = engine.sampler(options, PROMPT)
    drawn: list[int] = []
    while len(drawn) < n and not engine.ends_reply(token_id := sampler.sample()):
        drawn.append(token_id)
        engine.feed(token_id)
    return drawn


def text_of(engine: LlamaEngine, ids: list[int]) -> str:
    return b"".join(map(engine.tokenizer.piece, ids)).decode("utf-8", "replace")


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


class TestMemory:
    """What penalties look back on."""

    def test_is_the_prompt(self, loaded: LlamaEngine) -> None:
        """A token of the prompt is penalized at the first draw."""
        options = SamplingOptions(**OFF, presence_penalty=50.0)
        (stage,) = loaded.sampler(options, [10, 11]).stages()
        by_id = dict(zip(stage.ids.tolist(), stage.logits.tolist(), strict=True))
        logits = loaded.logits()
        assert by_id[10] == pytest.approx(logits[10] - 50, abs=1e-3)
        assert by_id[12] == pytest.approx(logits[12])

    @pytest.mark.parametrize(("last_n", "penalized"), [(1, {12}), (2, {11, 12}), (-1, {10, 11, 12})])
    def test_is_as_long_as_asked(self, loaded: LlamaEngine, last_n: int, penalized: set[int]) -> None:
        """repeat_last_n counts back from the end; -1 is the whole window, 0 none."""
        options = SamplingOptions(**OFF, presence_penalty=50.0, repeat_last_n=last_n)
        (stage,) = loaded.sampler(options, [10, 11, 12]).stages()
        moved = {
            int(i)
            for i, logit in zip(stage.ids, stage.logits, strict=True)
            if abs(logit - loaded.logits()[i]) > 1
        }
        assert moved == penalized
        assert stage_names(loaded, SamplingOptions(**OFF, presence_penalty=1.0, repeat_last_n=0)) == []

    def test_is_the_reply_too(self, engine: LlamaEngine) -> None:
        """With a large presence penalty no token is written twice, nor one of the prompt."""
        written = reply_of(engine, SamplingOptions(presence_penalty=1000.0, repeat_last_n=-1, seed=2), 60)
        assert len(set(written)) == len(written) > 5
        assert not set(written) & set(PROMPT)

    def test_dry_knows_repeated_sequences(self, loaded: LlamaEngine) -> None:
        """After `a b c d ... a b c`, DRY makes `d` less probable and nothing else."""
        prompt = [300, 301, 302, 303, 7, 8, 9, 300, 301, 302]
        (stage,) = loaded.sampler(SamplingOptions(**OFF, dry_multiplier=5.0), prompt).stages()
        difference = {
            int(i)
            for i, logit in zip(stage.ids, stage.logits, strict=True)
            if abs(logit - loaded.logits()[i]) > 0.1
        }
        assert difference == {303}


class TestGrammar:
    """Replies that keep to a form."""

    @pytest.mark.parametrize("temp", [0.0, 0.8, 5.0])
    def test_gbnf(self, engine: LlamaEngine, temp: float) -> None:
        """Whatever the temperature, the reply is a sentence of the grammar."""
        grammar = 'root ::= ("yes" | "no") ", " [a-z]{3} [0-9]{2} "."'
        for seed in range(5):
            ids = reply_of(engine, SamplingOptions(grammar=grammar, temp=temp, seed=seed))
            assert re.fullmatch(r"(yes|no), [a-z]{3}[0-9]{2}\.", text_of(engine, ids))

    def test_beyond_ascii(self, engine: LlamaEngine) -> None:
        """Characters of several tokens are held to the grammar too."""
        ids = reply_of(engine, SamplingOptions(grammar='root ::= "한국어" "🦙"', seed=1))
        assert text_of(engine, ids) == "한국어🦙"

    def test_json_schema(self, engine: LlamaEngine) -> None:
        """A reply under a schema is JSON of that shape."""
        schema = {
            "type": "object",
            "properties": {"name": {"enum": ["kim", "lee"]}, "old": {"type": "boolean"}},
            "required": ["name", "old"],
        }
        ids = reply_of(engine, SamplingOptions(json_schema=json.dumps(schema), seed=4), 200)
        reply = json.loads(text_of(engine, ids))
        assert reply["name"] in ("kim", "lee")
        assert isinstance(reply["old"], bool)

    def test_the_first_stage_shows_it(self, loaded: LlamaEngine) -> None:
        """The stages begin with what the grammar allows: tokens that begin `yes`."""
        stages = loaded.sampler(SamplingOptions(**OFF, grammar='root ::= "yes"')).stages()
        assert [stage.name for stage in stages] == ["grammar"]
        assert {loaded.tokenizer.piece(int(i)) for i in stages[0].ids} <= {b"y", b"ye", b"yes"}

    def test_from_files(self, engine: LlamaEngine, tmp_path: Path) -> None:
        """Grammar and schema can stand in files."""
        gbnf, schema = tmp_path / "a.gbnf", tmp_path / "a.json"
        gbnf.write_text('root ::= "abc"')
        schema.write_text('{"const": "x"}')
        assert text_of(engine, reply_of(engine, SamplingOptions(grammar_file=gbnf))) == "abc"
        assert text_of(engine, reply_of(engine, SamplingOptions(json_schema_file=schema))) == '"x"'

    def test_files_that_can_not_be_read(self, loaded: LlamaEngine, tmp_path: Path) -> None:
        """A missing file and one that is no UTF-8 are named."""
        (tmp_path / "bytes").write_bytes(b"root ::= \xff")
        with pytest.raises(InputError, match="none: No such file"):
            loaded.sampler(SamplingOptions(grammar_file=tmp_path / "none"))
        with pytest.raises(InputError, match="bytes: not UTF-8 at byte 9"):
            loaded.sampler(SamplingOptions(grammar_file=tmp_path / "bytes"))

    @pytest.mark.parametrize(
        ("schema", "reason"),
        [
            ("{", "not JSON"),
            ("", "not JSON"),
            ("[1]", "no grammar"),
            ("3", "no grammar"),
            ('{"$ref": "#/nowhere"}', "no grammar"),
            ('{"type": "nonsense"}', "no grammar"),
        ],
    )
    def test_schemas_that_are_none(self, loaded: LlamaEngine, schema: str, reason: str) -> None:
        """What is no JSON, or no schema, is a usage error of its own option."""
        with pytest.raises(UsageError, match=f"--json-schema: .*{reason}"):
            loaded.sampler(SamplingOptions(json_schema=schema))

    def test_one_at_a_time(self, loaded: LlamaEngine) -> None:
        """Two of the four options together contradict each other."""
        with pytest.raises(UsageError, match="--grammar and --json-schema can't both be given"):
            loaded.sampler(SamplingOptions(grammar='root ::= "a"', json_schema="{}"))
