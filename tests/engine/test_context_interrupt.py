"""Ctrl-C in a context: it acts at once, and leaves the cache and the account of it one."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from llmcli.engine import interrupt
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama import cache as cache_module
from llmcli.engine.llama import context as context_module
from llmcli.engine.llama import model as model_module
from llmcli.engine.llama import sampler as sampler_module
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.library import lib
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.sampler import LlamaSampler
from llmcli.errors import InterruptedByUser
from llmcli.settings.sampling import SamplingOptions
from tests.cli.program import PATIENCE
from tests.engine.contexts import ONE_THREAD, TOLERANCE, fresh_logits, ids_of
from tests.models import make_model

TRACED = tuple(
    module.__file__ for module in (context_module, cache_module, interrupt, model_module, sampler_module)
)
"""Where a Ctrl-C could part the cache, or what else is llama.cpp's, from the account of it."""
FREES = ("llama_free", "llama_model_free", "llama_sampler_free")


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
        """SIGINT in the middle of a prefill, also of one batch, raises there; the same prompt then works."""
        abort = AbortFlag()
        prompt = ids_of(8000)
        options = replace(ONE_THREAD, batch_size=batch, ubatch_size=min(batch, 512))
        with LlamaContext(slow_model, options, abort) as context, abort.installed():
            main_thread = threading.main_thread().ident or 0
            timer = threading.Timer(0.25, signal.pthread_kill, (main_thread, signal.SIGINT))
            timer.start()
            with pytest.raises(InterruptedByUser):
                context.ready(prompt)
            timer.join()
            assert not abort.is_set
            done = len(context.cached)
            assert done < len(prompt)
            assert list(context.cached) == prompt[:done]
            short = prompt[: done + 40]
            assert context.ready(short) == 40
            np.testing.assert_allclose(context.logits(), fresh_logits(slow_model, short), atol=TOLERANCE)

    def test_while_loading(self, tiny_model: Path) -> None:
        """SIGINT while a model is read ends the loading, and the model can be loaded afterwards."""
        abort, told, main_thread = AbortFlag(), list[float](), threading.get_ident()

        def press(done: float) -> None:
            told.append(done)
            if len(told) == 1:
                signal.pthread_kill(main_thread, signal.SIGINT)

        with abort.installed():
            with pytest.raises(InterruptedByUser):
                LlamaEngine.load(tiny_model, ONE_THREAD, abort=abort, on_progress=press)
            with LlamaEngine.load(tiny_model, ONE_THREAD, abort=abort) as engine:
                assert engine.ready([1, 2]) == 2

    def test_while_llama_cpp_asks_nothing(self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As while it reads a vocabulary: nobody waits for it, and what comes in the end is freed."""
        load, free = lib.llama_model_load_from_file, lib.llama_model_free
        is_left, freed, main_thread = threading.Event(), threading.Event(), threading.get_ident()

        def load_slowly(*args: Any) -> Any:
            model = load(*args)
            signal.pthread_kill(main_thread, signal.SIGINT)
            assert is_left.wait(PATIENCE)
            return model

        def free_it(model: Any) -> None:
            assert model
            free(model)
            freed.set()

        monkeypatch.setattr(lib, "llama_model_load_from_file", load_slowly)
        monkeypatch.setattr(lib, "llama_model_free", free_it)
        abort = AbortFlag()
        with abort.installed(), pytest.raises(InterruptedByUser):
            LlamaModel(tiny_model, abort=abort)
        assert not freed.is_set()
        is_left.set()
        assert freed.wait(PATIENCE)

    def test_between_any_two_lines(self, model: LlamaModel) -> None:
        """A Ctrl-C at whatever line leaves the cache and the account of it one: nothing is off by a token.

        Each line of context.py, cache.py and interrupt.py that a `ready` and a `feed` run through gets a
        SIGINT of its own.
        """
        first, second = ids_of(30), [*ids_of(30)[:12], *ids_of(20, 1)]
        expected = fresh_logits(model, [*second, 7])
        line = 0
        while True:
            line += 1
            abort = AbortFlag()
            with LlamaContext(model, replace(ONE_THREAD, batch_size=8), abort) as context:
                context.ready(first)

                def work(context: LlamaContext = context) -> None:
                    context.ready(second)
                    context.feed(7)

                if not _interrupted_at(line, abort, work)[0]:
                    break
                cached = list(context.cached)
                assert lib.llama_memory_seq_pos_max(context.cache.memory, 0) == len(cached) - 1
                abort.is_set = False
                context.ready([*second, 7])
                np.testing.assert_allclose(context.logits(), expected, atol=TOLERANCE)
        assert line > 50

    def test_none_is_lost(self, model: LlamaModel) -> None:
        """A Ctrl-C at whatever line of a `ready` ends it: none is noted, and left to whoever comes next."""
        head, middle, tail = ids_of(12), ids_of(8, 1), ids_of(20, 2)
        line, reached = 0, True
        while reached:
            line += 1
            abort = AbortFlag()
            with LlamaContext(model, replace(ONE_THREAD, batch_size=8), abort) as context:
                context.ready([*head, *tail])
                wanted = [*head, *middle, *tail[5:], 7]
                reached, raised = _interrupted_at(line, abort, lambda: context.ready(wanted, may_shift=True))  # noqa: B023
                assert raised == reached
        assert line > 50

    def test_nothing_is_freed_twice(self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A Ctrl-C at whatever line of a `close` leaves nothing to be freed that was freed already."""
        freed = list[int | None]()

        def counted(really: Callable[[Any], None]) -> Callable[[Any], None]:
            def free(pointer: Any) -> None:
                freed.append(ctypes.cast(pointer, ctypes.c_void_p).value)
                really(pointer)

            return free

        for name in FREES:
            monkeypatch.setattr(lib, name, counted(getattr(lib, name)))
        line, reached = 0, True
        while reached:
            line += 1
            freed.clear()
            model = LlamaModel(tiny_model)
            context = LlamaContext(model, ONE_THREAD)
            sampler = LlamaSampler(context, model.vocabulary, SamplingOptions(grammar='root ::= "x"'), seed=1)

            def close(sampler: LlamaSampler = sampler, model: LlamaModel = model) -> None:
                sampler.close()
                model.close()

            reached = _interrupted_at(line, AbortFlag(), close)[0]
            close()
            assert len(freed) == len(set(freed)), f"twice, when interrupted at line {line}"
        assert line > 10
        assert len(freed) == 4

    def test_what_is_hardly_begun_is_let_go_of_in_silence(
        self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A Ctrl-C at whatever line of a beginning: nothing fails where Python lets go of what there is."""
        failed = list[object]()
        monkeypatch.setattr(sys, "unraisablehook", lambda lost: failed.append(lost.exc_value))
        with LlamaModel(tiny_model) as model, LlamaContext(model, ONE_THREAD) as context:

            def load() -> None:
                LlamaModel(tiny_model, vocab_only=True).close()

            def sample() -> None:
                LlamaSampler(context, model.vocabulary, SamplingOptions(), seed=1).close()

            for work in (load, lambda: LlamaContext(model, ONE_THREAD).close(), sample):
                for line in range(1, 12):
                    assert _interrupted_at(line, AbortFlag(), work)[1]
        assert not failed


def _interrupted_at(line: int, abort: AbortFlag, work: Callable[[], object]) -> tuple[bool, bool]:
    """Do `work` with a SIGINT at its `line`-th line: whether there are so many, and whether it was ended."""
    left, raised = line, False

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in TRACED:
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
            work()
        except (KeyboardInterrupt, InterruptedByUser):
            raised = True
        finally:
            sys.settrace(before)
    return left <= 0, raised
