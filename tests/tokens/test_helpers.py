"""Processes that encode: the same ids, errors that come through, and none that stays behind."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from io import BytesIO
from multiprocessing import active_children
from pathlib import Path
from typing import Protocol

import pytest

from llmcli.errors import EngineError, InputError
from llmcli.tokens import helpers
from llmcli.tokens.batch import Batch
from llmcli.tokens.bulk import BulkEncoder, gguf_bulk_encoder
from llmcli.tokens.helpers import Helpers, Work, can_fork
from llmcli.tokens.pool import in_order
from llmcli.tokens.records import Source, separated, whole
from tests.tokens.conftest import Vocabularies

pytestmark = pytest.mark.skipif(not can_fork(), reason="helpers are forked")


ROOM = 1 << 40


def own_process(batch: Batch) -> int:
    """The number of the process that answers."""
    return os.getpid()


def refuse(batch: Batch) -> int:
    """An error as a command shows it."""
    raise InputError(f"not {batch.data.decode()}", hint="something else")


def die(batch: Batch) -> int:
    """What a lack of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


class Begin(Protocol):
    """Begins `n` helpers that do `work`."""

    def __call__(self, work: Work[int] | None, n: int = 1, memory: int = ROOM) -> Helpers[int]:
        """They may have `memory`."""
        ...


@pytest.fixture
def begun() -> Iterator[Begin]:
    """Begins helpers; they are closed at the end, and then no process of theirs is left."""
    all_of_them: list[Helpers[int]] = []

    def begin(work: Work[int] | None, n: int = 1, memory: int = ROOM) -> Helpers[int]:
        all_of_them.append(Helpers(lambda: work, n, memory))
        return all_of_them[-1]

    yield begin
    for some in all_of_them:
        some.close()
    assert not active_children()


def answering(some: Helpers[int]) -> int:
    """The process that answers."""
    found = some.ask(Batch(b"x"))
    assert found
    return found


def test_another_process_answers(begun: Begin) -> None:
    """One and the same, as long as it has not grown."""
    some = begun(own_process)
    assert os.getpid() != answering(some) == answering(some)


def test_one_that_has_grown_is_replaced(begun: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an answer, and without losing the next question."""
    monkeypatch.setattr(helpers, "LEAST_GROWTH", 1 << 20)
    held = []

    def grow(batch: Batch) -> int:
        held.append(b"x" * (4 << 20))
        return own_process(batch)

    some = begun(grow, memory=0)
    assert len({answering(some) for _ in range(4)}) == 4


def test_an_error_comes_through(begun: Begin) -> None:
    """With its kind and hint, and the helper goes on."""
    some = begun(refuse)
    for _ in range(2):
        with pytest.raises(InputError, match="not this") as raised:
            some.ask(Batch(b"this"))
        assert raised.value.hint == "something else"


def test_one_that_dies(begun: Begin) -> None:
    """An error that says so, not an endless wait."""
    some = begun(die, 2)
    for _ in range(3):
        with pytest.raises(EngineError, match="has come to an end"):
            some.ask(Batch(b"x"))


def test_no_fast_way(begun: Begin) -> None:
    """Then whoever asks has to do it."""
    assert begun(None, 2).ask(Batch(b"x")) is None


@pytest.mark.parametrize("n_left", [5, 9, 11, 13])
def test_where_no_file_can_be_opened(begun: Begin, n_left: int) -> None:
    """As many pipes as there may be, an error at once or no fast way: never an endless wait."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(number.name) for number in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + n_left, before[1]))
    try:
        answer = begun(own_process, 2).ask(Batch(b"x"))
    except OSError as error:
        assert error.errno == errno.EMFILE
    else:
        assert answer is None or answer != os.getpid()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_nursery_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    """Then there is no fast way, and nothing is said of it."""

    def make() -> Work[int] | None:
        raise MemoryError

    some = Helpers(make, 2, ROOM)
    assert some.ask(Batch(b"x")) is None
    some.close()
    assert capfd.readouterr().err == ""


def test_a_nursery_that_is_killed_before_it_can_tell() -> None:
    """Helpers that it has begun keep nobody waiting."""

    def make() -> Work[int] | None:
        os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGKILL))
        return own_process

    some = Helpers(make, 1, ROOM)
    assert some.ask(Batch(b"x")) is None
    some.close()


def test_as_many_as_memory_has_room_for(begun: Begin) -> None:
    """Two where there is room for two, else one, which answers all the same."""

    def processes(memory: int) -> int:
        some = begun(own_process, 2, memory)

        def slowly(batch: Batch) -> int | None:
            time.sleep(0.2)
            return some.ask(batch)

        return len(set(in_order(slowly, [Batch(b"x")] * 8, 2)))

    assert processes(0) == 1
    assert processes(ROOM) == 2


@pytest.fixture
def unlike_lines() -> bytes:
    """Lines that the fast way knows, and lines that are left to llama.cpp, also in helpers."""
    known = b"The quick brown fox\n\n  12 dogs\n" + "안녕하세요 🦙\n".encode()
    unknown = b"12 <|endoftext|> \xff\n" + " \U0001e900\n".encode()
    return known * 10_000 + unknown * 100


@pytest.mark.parametrize("growth", [0, 64 << 20], ids=["replaced", "kept"])
@pytest.mark.parametrize("bos", [False, True])
def test_the_ids_are_the_same(
    vocabularies: Vocabularies,
    monkeypatch: pytest.MonkeyPatch,
    unlike_lines: bytes,
    growth: int,
    bos: bool,
) -> None:
    """As llama.cpp's, whoever has made them."""
    monkeypatch.setattr(helpers, "LEAST_GROWTH", growth)
    vocabulary = vocabularies["gpt-2"]
    encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=bos, eos=False)
    encoder.expect(1 << 30)
    batches = separated(Source(BytesIO(unlike_lines), "x"), b"\n")
    rows = [row for part in encoder.run(batches, 2, memory=0) for row in part.records()]
    assert [text for _, text, _ in rows] == unlike_lines.split(b"\n")[:-1]
    assert not active_children()
    for _, text, ids in rows[:50] + rows[-50:]:
        assert ids.tolist() == vocabulary.encode(text, bos=bos)


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("whole_text", [False, True], ids=["lines", "whole"])
def test_the_counts_are_those_of_the_ids(
    vocabularies: Vocabularies, unlike_lines: bytes, bos: bool, whole_text: bool
) -> None:
    """Batch by batch, with what is added to each record, or once to all of a text."""
    vocabulary = vocabularies["gpt-2"]

    def batches(encoder: BulkEncoder) -> Iterator[Batch | None]:
        encoder.expect(1 << 30)
        source = Source(BytesIO(unlike_lines), "x")
        return whole(source, encoder.cuts) if whole_text else separated(source, b"\n")

    def encoder() -> BulkEncoder:
        return gguf_bulk_encoder(vocabulary, parse_special=True, bos=bos, eos=False)

    one, other = encoder(), encoder()
    counts = [(part.batch, part.n_ids) for part in one.count(batches(one), 2, ROOM)]
    assert counts == [(part.batch, len(part.ids)) for part in other.run(batches(other), 2)]
    assert len(counts) > 2
    if whole_text:
        assert sum(n_ids for _, n_ids in counts) == len(vocabulary.encode(unlike_lines, bos=bos))
