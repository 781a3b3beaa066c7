"""What is put aside in the cache: new tokens before what is kept, and another text for a while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.errors import EngineError, InterruptedByUser, WindowFullError
from tests.engine.contexts import ONE_THREAD, TOLERANCE, fresh_logits, ids_of
from tests.models import make_model, make_recurrent_model

OLD, NEW = ids_of(400), ids_of(40, 1)


@pytest.fixture(scope="module")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    """A model of one layer: what its cache has of a token hangs by the token and its position alone."""
    path = make_model(tmp_path_factory.mktemp("models") / "shallow.gguf", layers=1)
    with LlamaModel(path, ONE_THREAD) as model:
        yield model


class TestNewTokensInTheMiddle:
    """A piece of the cache leaves, and another comes in its place."""

    @pytest.mark.parametrize("gone", [300, 40, 20, 0])
    def test_only_they_are_evaluated(self, shallow: LlamaModel, gone: int) -> None:
        """What follows moves up, stays, or moves down; every token stands where it belongs."""
        wanted = [*OLD[:30], *NEW, *OLD[30 + gone :], 5, 6]
        with LlamaContext(shallow, ONE_THREAD) as context:
            context.ready(OLD)
            assert context.ready(wanted, may_shift=True) == len(NEW) + 2
            assert list(context.cached) == wanted
            np.testing.assert_allclose(context.logits(), fresh_logits(shallow, wanted), atol=TOLERANCE)
            context.feed(7)
            np.testing.assert_allclose(context.logits(), fresh_logits(shallow, [*wanted, 7]), atol=TOLERANCE)

    def test_at_several_places(self, shallow: LlamaModel) -> None:
        """Pieces between new tokens keep their order, however far each moves; also in a full window."""
        wanted = [*NEW, *OLD[100:200], *NEW[:9], *OLD[200:300], *ids_of(170, 2), *OLD[320:]]
        wanted += ids_of(512 - len(wanted), 3)
        with LlamaContext(shallow, ONE_THREAD) as context:
            context.ready(OLD)
            told: list[float] = []
            assert context.ready(wanted, may_shift=True, on_progress=told.append) == 512 - 280
            assert (told[0], told[-1]) == (0.0, 1.0)
            assert told == sorted(told)
            np.testing.assert_allclose(context.logits(), fresh_logits(shallow, wanted), atol=TOLERANCE)

    @pytest.mark.parametrize("kept", [0, 30])
    def test_what_was_moved_can_be_forgotten(self, shallow: LlamaModel, kept: int) -> None:
        """What stands before it stays; without anything moved, all does."""
        wanted = [*OLD[:kept], *OLD[200:], 5]
        with LlamaContext(shallow, ONE_THREAD) as context:
            context.ready(OLD)
            context.forget_moved()
            assert list(context.cached) == OLD
            context.ready(wanted, may_shift=True)
            context.ready([*wanted, 6, 7])
            context.forget_moved()
            assert list(context.cached) == wanted[:kept]
            assert context.ready([*wanted, 8]) == len(wanted) + 1 - kept
            context.forget_moved()
            assert list(context.cached) == [*wanted, 8]

    def test_an_interrupt_leaves_a_beginning(self, shallow: LlamaModel) -> None:
        """What was aside is gone then, and the next prompt is evaluated from there."""
        wanted = [*OLD[:30], *NEW, *OLD[100:], 5]
        with LlamaContext(shallow, ONE_THREAD) as context:
            context.ready(OLD)
            context.abort.is_set = True
            with pytest.raises(InterruptedByUser):
                context.ready(wanted, may_shift=True)
            n_cached = len(context.cached)
            assert list(context.cached) == wanted[:n_cached]
            assert context.ready(wanted) == len(wanted) - n_cached
            np.testing.assert_allclose(context.logits(), fresh_logits(shallow, wanted), atol=TOLERANCE)


class TestAnotherTextForAWhile:
    """The cache is put aside, and comes back."""

    def test_it_comes_back(self, engine: LlamaEngine) -> None:
        """Whatever was evaluated meanwhile, nothing of what was there is evaluated again."""
        engine.ready(OLD)
        with engine.aside():
            assert engine.ready([*OLD[:200], *NEW]) == len(NEW)
            meanwhile = engine.logits().copy()
        assert list(engine.cached) == OLD
        assert engine.ready([*OLD, 5]) == 1
        back = engine.logits().copy()
        engine.ready(NEW)
        engine.ready([*OLD[:200], *NEW])
        np.testing.assert_allclose(meanwhile, engine.logits(), atol=0.1)
        engine.ready(NEW)
        engine.ready([*OLD, 5])
        np.testing.assert_allclose(back, engine.logits(), atol=0.1)

    def test_also_after_an_error(self, engine: LlamaEngine) -> None:
        """Here, as there is no room for both."""
        engine.ready(OLD)
        with pytest.raises(WindowFullError), engine.aside():
            engine.ready(ids_of(200, 2))
        assert list(engine.cached) == OLD
        assert engine.ready([*OLD, 5]) == 1

    def test_an_empty_cache(self, engine: LlamaEngine) -> None:
        """There is nothing to come back."""
        with engine.aside():
            engine.ready(NEW)
        assert list(engine.cached) == []
        assert engine.ready(NEW) == len(NEW)

    def test_where_nothing_can_be_put_aside(self, tmp_path: Path) -> None:
        """A recurrent model has one state: it is refused before anything is lost."""
        path = make_recurrent_model(tmp_path / "recurrent.gguf")
        with LlamaEngine.load(path, ONE_THREAD) as engine:
            engine.ready(NEW)
            with pytest.raises(EngineError, match="put aside"), engine.aside():
                pass
            assert list(engine.cached) == NEW
