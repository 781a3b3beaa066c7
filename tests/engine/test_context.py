"""The context: a reused cache is as good as a fresh one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcli.engine.llama import memory
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.library import lib
from llmcli.engine.llama.model import LlamaModel
from llmcli.errors import EngineError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from tests.engine.contexts import ONE_THREAD, TOLERANCE, fresh_logits, ids_of

HALF_TOLERANCE = 0.1
"""The same where llama.cpp computes attention in 16 bits, as it does by default."""


class TestReusedCache:
    """Logits do not depend on how the cache came about."""

    @pytest.mark.parametrize("batch", [1, 3, 16, 2048])
    @pytest.mark.parametrize("kept", [0, 1, 50, 119, 120])
    def test_a_prefix_kept_and_the_rest_fed(self, model: LlamaModel, batch: int, kept: int) -> None:
        """Keeping `kept` of 120 tokens evaluates only the others, and gives a fresh context's logits."""
        wanted = ids_of(120)
        options = replace(ONE_THREAD, batch_size=batch, ubatch_size=min(batch, 5))
        with LlamaContext(model, options) as context:
            context.ready([*wanted[:kept], 481, 482, 481])
            assert context.ready(wanted) == 120 - min(kept, 119)
            assert list(context.cached) == wanted
            np.testing.assert_allclose(context.logits(), fresh_logits(model, wanted), atol=TOLERANCE)

    @pytest.mark.parametrize("cache_type", ["f16", "q8_0"])
    def test_with_llama_cpps_defaults(self, model: LlamaModel, cache_type: str) -> None:
        """Flash attention and smaller cache types round more, and err no further than that."""
        wanted = ids_of(120)
        options = EngineOptions(threads=1, cache_type_k=cache_type, cache_type_v=cache_type)
        with LlamaContext(model, options) as context, LlamaContext(model, options) as fresh:
            context.ready(wanted[:100])
            assert context.ready(wanted) == 20
            fresh.ready(wanted)
            np.testing.assert_allclose(context.logits(), fresh.logits(), atol=HALF_TOLERANCE)

    def test_the_same_prompt_again_costs_nothing(self, model: LlamaModel) -> None:
        """What is there with its logits is not evaluated again; a beginning of it needs one token."""
        wanted = ids_of(30)
        with LlamaContext(model, ONE_THREAD) as context:
            assert context.ready(wanted) == 30
            before = context.logits().copy()
            assert context.ready(wanted) == 0
            np.testing.assert_array_equal(context.logits(), before)
            assert context.ready(wanted[:20]) == 1
            np.testing.assert_allclose(context.logits(), fresh_logits(model, wanted[:20]), atol=TOLERANCE)

    def test_token_by_token_is_as_good_as_at_once(self, model: LlamaModel) -> None:
        """Feeding a sequence token by token leads to the logits of evaluating it as a prompt."""
        wanted = ids_of(60)
        with LlamaContext(model, ONE_THREAD) as context:
            context.ready(wanted[:1])
            for token_id in wanted[1:]:
                context.feed(token_id)
            assert list(context.cached) == wanted
            np.testing.assert_allclose(context.logits(), fresh_logits(model, wanted), atol=TOLERANCE)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=5))
    def test_any_history_of_prompts(self, model: LlamaModel, prompts: list[list[int]]) -> None:
        """After any prompts one after the other, the last one's logits are a fresh context's."""
        with LlamaContext(model, ONE_THREAD) as context:
            for prompt in prompts:
                context.ready(prompt)
            assert list(context.cached) == prompts[-1]
            np.testing.assert_allclose(context.logits(), fresh_logits(model, prompts[-1]), atol=TOLERANCE)

    def test_the_whole_window(self, model: LlamaModel) -> None:
        """A full window can be emptied and filled again."""
        with LlamaContext(model, ONE_THREAD) as context:
            for seed in range(2):
                assert context.ready(ids_of(512, seed)) == 512
            np.testing.assert_allclose(context.logits(), fresh_logits(model, ids_of(512, 1)), atol=TOLERANCE)

    def test_progress_is_told_from_0_to_1(self, model: LlamaModel) -> None:
        """The progress callback hears of every batch, ascending, and of the end."""
        told: list[float] = []
        with LlamaContext(model, EngineOptions(threads=1, batch_size=10)) as context:
            context.ready(ids_of(40), on_progress=told.append)
        assert told == [0.0, 0.25, 0.5, 0.75, 1.0]


class TestShift:
    """A cache whose middle was cut out."""

    def test_holds_the_ids_and_goes_on(self, model: LlamaModel) -> None:
        """Both sides of the cut stay, only the new end is evaluated, and tokens can be drawn."""
        history = ids_of(300)
        wanted = [*history[:20], *history[120:], 5, 6, 7]
        with LlamaContext(model, ONE_THREAD) as context:
            context.ready(history)
            assert context.ready(wanted, may_shift=True) == 3
            assert list(context.cached) == wanted
            assert np.isfinite(context.logits()).all()
            for token_id in ids_of(50, 1):
                context.feed(token_id)
            assert lib.llama_memory_seq_pos_max(context.cache.memory, 0) == len(context.cached) - 1

    def test_is_close_to_what_a_fresh_context_says(self, model: LlamaModel) -> None:
        """Shifted positions are right: the logits resemble a fresh context's, and no others'."""
        history = ids_of(300)
        wanted = [*history[:20], *history[60:], 5]
        with LlamaContext(model, ONE_THREAD) as context:
            context.ready(history)
            context.ready(wanted, may_shift=True)
            shifted = context.logits()
            similar = np.corrcoef(shifted, fresh_logits(model, wanted))[0, 1]
            assert similar > 0.8
            assert similar > np.corrcoef(shifted, fresh_logits(model, [*history, 5]))[0, 1]

    def test_happens_only_when_allowed(self, model: LlamaModel) -> None:
        """Without may_shift the result is exact and everything behind the cut is evaluated."""
        history = ids_of(200)
        wanted = [*history[:20], *history[60:]]
        with LlamaContext(model, ONE_THREAD) as context:
            context.ready(history)
            assert context.ready(wanted) == 140
            np.testing.assert_allclose(context.logits(), fresh_logits(model, wanted), atol=TOLERANCE)

    def test_a_model_with_a_sliding_window_does_not(self, model: LlamaModel, monkeypatch: Any) -> None:
        """What has left a sliding window is gone: such a context never shifts."""
        monkeypatch.setattr(memory, "sliding_window", lambda _model: 1 << 20)
        with LlamaContext(model, ONE_THREAD) as context:
            assert not context.cache.can_shift

    def test_a_cache_that_can_not_be_cut_is_filled_anew(self, model: LlamaModel, monkeypatch: Any) -> None:
        """Recurrent models can't take back the end of a sequence: then all of it is evaluated again."""
        wanted = ids_of(50)
        with LlamaContext(model, ONE_THREAD) as context:
            context.ready([*wanted[:30], 1, 2])
            monkeypatch.setattr(lib, "llama_memory_seq_rm", lambda *_arguments: False)
            assert context.ready(wanted) == 50
            np.testing.assert_allclose(context.logits(), fresh_logits(model, wanted), atol=TOLERANCE)


class TestFailedEvaluation:
    """When llama.cpp refuses a batch, the cache is as it was before."""

    @pytest.mark.parametrize(("status", "error"), [(-1, "could not evaluate 3 tokens"), (-3, "-3")])
    def test_raises_and_keeps_the_rest(
        self, model: LlamaModel, monkeypatch: Any, status: int, error: str
    ) -> None:
        """A negative status is an EngineError; evaluating again works."""
        with LlamaContext(model, ONE_THREAD) as context:
            context.ready(ids_of(10))
            with monkeypatch.context() as patch:
                patch.setattr(lib, "llama_decode", lambda *_arguments: status)
                with pytest.raises(EngineError, match=error):
                    context.ready([*ids_of(10), 1, 2, 3])
            with pytest.raises(EngineError, match="no logits"):
                context.logits()
            assert list(context.cached) == ids_of(10)
            assert context.ready([*ids_of(10), 1, 2, 3]) == 3


def test_a_reply_is_the_same_after_a_reused_prompt(engine: LlamaEngine) -> None:
    """A seeded reply on a warm cache is the reply on a cold one, token for token."""

    def reply() -> list[int]:
        engine.ready(prompt)
        sampler = engine.sampler(SamplingOptions(seed=5), prompt)
        drawn = []
        for _ in range(20):
            drawn.append(sampler.sample())
            engine.feed(drawn[-1])
        return drawn

    prompt = ids_of(40)
    cold = reply()
    assert reply() == cold
