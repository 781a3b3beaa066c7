"""Processes that encode: the same ids, errors that come through, and none that stays behind."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from io import BytesIO
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from llmcli.errors import EngineError, InputError
from llmcli.tokens import helpers
from llmcli.tokens.batch import Batch, BatchIds
from llmcli.tokens.bulk import gguf_bulk_encoder
from llmcli.tokens.helpers import Helpers, can_fork
from llmcli.tokens.records import Source, separated
from tests.tokens.conftest import Vocabularies

pytestmark = pytest.mark.skipif(not can_fork(), reason="helpers are forked")


def own_process(batch: Batch) -> BatchIds:
    """The number of the process that answers, as the only id."""
    return BatchIds(batch, np.array([os.getpid()], np.uint32), np.array([1]))


def refuse(batch: Batch) -> BatchIds:
    """An error as a command shows it."""
    raise InputError(f"not {batch.data.decode()}", hint="something else")


def die(batch: Batch) -> BatchIds:
    """What a lack of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)
    return own_process(batch)


@pytest.fixture
def begun() -> Iterator[Callable[..., Helpers]]:
    """Begins helpers; they are closed at the end, and then no process of theirs is left."""
    all_of_them: list[Helpers] = []

    def begin(encode: helpers.Encode | None, n: int = 1) -> Helpers:
        all_of_them.append(Helpers(lambda: encode, n))
        return all_of_them[-1]

    yield begin
    for some in all_of_them:
        some.close()
    assert not active_children()


def answering(some: Helpers) -> int:
    """The process that answers."""
    found = some.encode(Batch(b"x"))
    assert found
    return int(found.ids[0])


def test_another_process_answers(begun: Callable[..., Helpers]) -> None:
    """One and the same, as long as it has not grown."""
    some = begun(own_process)
    assert os.getpid() != answering(some) == answering(some)


def test_one_that_has_grown_is_replaced(
    begun: Callable[..., Helpers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind an answer, and without losing the next question."""
    monkeypatch.setattr(helpers, "LEAST_GROWTH", 1 << 20)
    monkeypatch.setattr(helpers, "MEMORY", 0)
    held = []

    def grow(batch: Batch) -> BatchIds:
        held.append(b"x" * (4 << 20))
        return own_process(batch)

    some = begun(grow)
    assert len({answering(some) for _ in range(4)}) == 4


def test_an_error_comes_through(begun: Callable[..., Helpers]) -> None:
    """With its kind and hint, and the helper goes on."""
    some = begun(refuse)
    for _ in range(2):
        with pytest.raises(InputError, match="not this") as raised:
            some.encode(Batch(b"this"))
        assert raised.value.hint == "something else"


def test_one_that_dies(begun: Callable[..., Helpers]) -> None:
    """An error that says so, not an endless wait."""
    some = begun(die, 2)
    for _ in range(3):
        with pytest.raises(EngineError, match="has come to an end"):
            some.encode(Batch(b"x"))


def test_no_fast_way(begun: Callable[..., Helpers]) -> None:
    """Then whoever asks has to do it."""
    assert begun(None, 2).encode(Batch(b"x")) is None


@pytest.mark.parametrize("n_left", [5, 9, 11, 13])
def test_where_no_file_can_be_opened(begun: Callable[..., Helpers], n_left: int) -> None:
    """As many pipes as there may be, an error at once or no fast way: never an endless wait."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(number.name) for number in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + n_left, before[1]))
    try:
        answer = begun(own_process, 2).encode(Batch(b"x"))
    except OSError as error:
        assert error.errno == errno.EMFILE
    else:
        assert answer is None or answer.ids[0] != os.getpid()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_nursery_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    """Then there is no fast way, and nothing is said of it."""

    def make() -> helpers.Encode | None:
        raise MemoryError

    some = Helpers(make, 2)
    assert some.encode(Batch(b"x")) is None
    some.close()
    assert capfd.readouterr().err == ""


def test_a_nursery_that_is_killed_before_it_can_tell() -> None:
    """Helpers that it has begun keep nobody waiting."""

    def make() -> helpers.Encode | None:
        os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGKILL))
        return own_process

    some = Helpers(make, 1)
    assert some.encode(Batch(b"x")) is None
    some.close()


@pytest.mark.parametrize("growth", [0, 64 << 20], ids=["replaced", "kept"])
@pytest.mark.parametrize("bos", [False, True])
def test_the_ids_are_the_same(
    vocabularies: Vocabularies, monkeypatch: pytest.MonkeyPatch, growth: int, bos: bool
) -> None:
    """Lines that the fast way knows, and lines that are left to llama.cpp, also there."""
    monkeypatch.setattr(helpers, "LEAST_GROWTH", growth)
    monkeypatch.setattr(helpers, "MEMORY", 0)
    vocabulary = vocabularies["gpt-2"]
    known = b"The quick brown fox\n\n  12 dogs\n" + "안녕하세요 🦙\n".encode()
    unknown = b"12 <|endoftext|> \xff\n" + " \U0001e900\n".encode()
    encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=bos, eos=False)
    encoder.expect(1 << 30)
    text = known * 10_000 + unknown * 100
    lines = text.split(b"\n")[:-1]
    batches = separated(Source(BytesIO(text), "x"), b"\n")
    rows = [row for part in encoder.run(batches, 2) for row in part.records()]
    assert [text for _, text, _ in rows] == lines
    assert not active_children()
    for _, text, ids in rows[:50] + rows[-50:]:
        assert ids.tolist() == vocabulary.encode(text, bos=bos)
