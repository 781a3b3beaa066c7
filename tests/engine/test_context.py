"""The context: a reused cache is as good as a fresh one, and Ctrl-C leaves it usable."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmcli.engine import interrupt
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama import context as context_module
from llmcli.engine.llama import memory, new_context
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.library import lib
from llmcli.engine.llama.model import LlamaModel
from llmcli.errors import EngineError, InterruptedByUser
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from tests.models import make_model

TOLERANCE = 2e-3
"""Logits of a deviation of 2.4 that differ by less are equal: sums of other batches round differently."""
HALF_TOLERANCE = 0.1
"""The same where llama.cpp computes attention in 16 bits, as it does by default."""

ONE_THREAD = EngineOptions(threads=1, cache_type_k="f32", cache_type_v="f32", flash_attn="off")


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Iterator[LlamaModel]:
    """The tiny model, loaded once."""
    with LlamaModel(tiny_model) as model:
        yield model


def fresh_logits(model: LlamaModel, ids: Sequence[int]) -> NDArray[np.float32]:
    """The logits after `ids` in a context that never held anything else."""
    with LlamaContext(model, ONE_THREAD) as context:
        context.ready(ids)
        return np.array(context.logits())


def ids_of(n: int, seed: int = 0) -> list[int]:
    """`n` random ids."""
    return [int(i) for i in np.random.default_rng(seed).integers(0, 480, n)]


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
            assert lib.llama_memory_seq_pos_max(context.memory, 0) == len(context.cached) - 1

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
            assert not context.can_shift

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


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    """A model for which 8,192 tokens take seconds."""
    path = make_model(tmp_path_factory.mktemp("slow") / "slow.gguf", context=8192, width=256, layers=6)
    with LlamaModel(path) as model:
        yield model


class TestInterrupt:
    """Ctrl-C acts at once and breaks nothing."""

    @pytest.mark.parametrize("batch", [128, 8192])
    def test_in_a_long_prompt(self, slow_model: LlamaModel, batch: int) -> None:
        """SIGINT in the middle of a prefill raises within half a second; the same prompt then works."""
        abort = AbortFlag()
        prompt = ids_of(8000)
        options = replace(ONE_THREAD, batch_size=batch, ubatch_size=min(batch, 512))
        pressed: list[float] = []

        def press() -> None:
            pressed.append(time.monotonic())
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        with LlamaContext(slow_model, options, abort) as context, abort.installed():
            timer = threading.Timer(0.25, press)
            timer.start()
            with pytest.raises(InterruptedByUser):
                context.ready(prompt)
            took = time.monotonic() - pressed[0]
            timer.join()
            assert took < 0.5
            assert not abort.is_set
            done = len(context.cached)
            assert done < len(prompt)
            assert list(context.cached) == prompt[:done]
            short = prompt[: done + 40]
            assert context.ready(short) == 40
            np.testing.assert_allclose(context.logits(), fresh_logits(slow_model, short), atol=TOLERANCE)

    def test_while_loading(self, tiny_model: Path) -> None:
        """SIGINT while the weights are read ends the loading, and the model can be loaded afterwards."""
        abort = AbortFlag()
        with abort.installed():
            with pytest.raises(InterruptedByUser):
                LlamaEngine.load(
                    tiny_model,
                    ONE_THREAD,
                    abort=abort,
                    on_progress=lambda _done: signal.raise_signal(signal.SIGINT),
                )
            with LlamaEngine.load(tiny_model, ONE_THREAD, abort=abort) as engine:
                assert engine.ready([1, 2]) == 2

    def test_between_any_two_lines(self, model: LlamaModel) -> None:
        """A Ctrl-C at whatever line leaves the cache and the account of it one: nothing is off by a token.

        Each line of context.py and interrupt.py that a `ready` and a `feed` run through gets a SIGINT of
        its own.
        """
        first, second = ids_of(30), [*ids_of(30)[:12], *ids_of(20, 1)]
        expected = fresh_logits(model, [*second, 7])
        line = 0
        while True:
            line += 1
            abort = AbortFlag()
            with LlamaContext(model, replace(ONE_THREAD, batch_size=8), abort) as context:
                context.ready(first)
                if not _interrupted_at(line, abort, context, second):
                    break
                cached = list(context.cached)
                assert lib.llama_memory_seq_pos_max(context.memory, 0) == len(cached) - 1
                abort.is_set = False
                context.ready([*second, 7])
                np.testing.assert_allclose(context.logits(), expected, atol=TOLERANCE)
        assert line > 50


def _interrupted_at(line: int, abort: AbortFlag, context: LlamaContext, wanted: list[int]) -> bool:
    """Run ready and feed with a SIGINT at the `line`-th line of the two; whether there are so many."""
    left = line

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in (context_module.__file__, interrupt.__file__):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    with abort.installed():
        sys.settrace(trace)
        try:
            context.ready(wanted)
            context.feed(7)
        except (KeyboardInterrupt, InterruptedByUser):
            pass
        finally:
            sys.settrace(before)
    return left <= 0


class TestAdapters:
    """LoRA adapters."""

    def test_change_the_logits_by_their_scale(self, tiny_model: Path, tmp_path: Path) -> None:
        """An adapter at scale 0 changes nothing, at 1 something, at 2 something else."""
        path = tmp_path / "lora.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 4.0)
        rng = np.random.default_rng(1)
        for name, shape in (("lora_a", (4, 128)), ("lora_b", (64, 4))):
            values = rng.standard_normal(shape, dtype=np.float32)
            writer.add_tensor(f"blk.0.ffn_down.weight.{name}", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        logits = []
        for lora in ((), ((path, 0.0),), ((path, 1.0),), ((path, 2.0),)):
            with LlamaEngine.load(tiny_model, EngineOptions(threads=1, lora=lora)) as engine:
                engine.ready([1, 2, 3, 4])
                logits.append(engine.logits().copy())
        np.testing.assert_allclose(logits[1], logits[0], atol=TOLERANCE)
        assert np.abs(logits[2] - logits[0]).max() > 0.05
        assert np.abs(logits[3] - logits[2]).max() > 0.05


class TestSizes:
    """How large the window is."""

    @pytest.mark.parametrize(
        ("asked", "expected"), [(None, 512), (0, 512), (1, 256), (256, 256), (300, 512), (1024, 1024)]
    )
    def test_as_asked_rounded_up(self, model: LlamaModel, asked: int | None, expected: int) -> None:
        """auto and 0 are the model's own; llama.cpp rounds up to a multiple of 256."""
        with LlamaContext(model, EngineOptions(ctx_size=asked, threads=1)) as context:
            assert context.size == expected

    @pytest.mark.parametrize(("free", "expected"), [(10**12, 16384), (5 * 10**6, 8192), (0, 16384), (1, 512)])
    def test_auto_is_what_fits_in_memory(
        self, tmp_path: Path, monkeypatch: Any, free: int, expected: int
    ) -> None:
        """auto takes no more than half of the free memory, and no more than 16384 anyway."""
        monkeypatch.setattr(new_context, "memory", lambda: (free, free))
        path = make_model(tmp_path / "long.gguf", context=100_000)
        with LlamaModel(path) as model, LlamaContext(model, ONE_THREAD) as context:
            assert model.kv_bytes_per_token() == 2 * 2 * 32 * 2
            assert context.size == expected


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
