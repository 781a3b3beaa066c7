"""Processes that work on batches: copies of one that has the fast way, each replaced when it has grown.

gigatoken's BPE takes one call at a time, holds the GIL meanwhile, and keeps every word that it has seen. So
on Linux it works in processes of their own. One of them, the nursery, is forked from this one, builds the
fast way, and forks the helpers from itself: what they don't write to, they share. A helper that has grown by
as much as memory allows ends behind an answer, and the nursery forks another in its place. That takes
milliseconds, where building the fast way anew takes half a second, and gives back all that was taken.
"""

from __future__ import annotations

import atexit
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llmcli.errors import EngineError, LlmcliError
from llmcli.tokens.batch import Batch
from llmcli.tokens.memory import give_back, resident

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

Answer = TypeVar("Answer")
"""What a helper is asked for: it goes through a pipe, so the less there is of it the better."""
Work = Callable[[Batch], Answer]

FOR_BLOCKS = 26 << 20
"""What this process will need for the blocks and the answers that are under way."""
COPIED = 10 << 20
"""What a helper writes to of the memory that it shared: gigatoken's table of words, and Python's objects."""
LEAST_GROWTH = 12 << 20
"""What a helper may remember: with less there are fewer helpers."""
LEAP = 24 << 20
"""How far it may grow at once: its tables double."""
AT_ONCE = 2
"""Batches that a helper has been given: it goes on while the answer to the first one is taken up."""
PATIENCE = 0.1
"""Seconds that helpers have to end by themselves."""
GROWN = 75
"""The exit code of a helper that has grown too large."""


def can_fork() -> bool:
    """Whether processes can be copies of this one, and tell how large they are.

    Elsewhere than on Linux, libraries don't bear it.
    """
    return platform.system() == "Linux" and resident() is not None


class Helpers(Generic[Answer]):
    """Other processes to which batches are given; `ask` may be called from several threads."""

    def __init__(self, make: Callable[[], Work[Answer] | None], most: int, memory: int) -> None:
        """`make` is called in the nursery and gives what its copies do; None where there is no fast way.

        To be called while no other thread works. At most `most` helpers run at once, and as many as fit into
        `memory`, resident bytes of all processes together. Raises OSError where there may be no further
        process or pipe.
        """
        from multiprocessing import get_context

        context = get_context("fork")
        pairs = [context.Pipe() for _ in range(most)]
        self._pipes = [ours for ours, _ in pairs]
        self._number, number = context.Pipe(duplex=False)
        self._nursery = context.Process(target=_nursery, args=(make, pairs, number, memory), name="tokenize")
        # Ctrl-C is for this process; the others end when it does.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # Threads that are there wait, or are those of NumPy's library, which knows of forks.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._nursery.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for theirs in (number, *(theirs for _, theirs in pairs)):
            theirs.close()
        self._starting = threading.Lock()
        self._n: int | None = None
        self._free: SimpleQueue[_Line] = SimpleQueue()
        # Before multiprocessing's own, which waits for the nursery.
        atexit.register(self.close)

    def ask(self, batch: Batch) -> Answer | None:
        """A helper's answer to a batch; errors come through. None where there is no fast way.

        Raises EngineError where a process has come to an end that should not have.
        """
        if not self._count():
            return None
        line = self._free.get()
        try:
            answer = line.ask(batch)
        except (EOFError, OSError):
            raise EngineError(
                "a process that was tokenizing has come to an end",
                hint="is there memory left? --no-parse-special or smaller files may show which text it was",
            ) from None
        finally:
            self._free.put(line)
        if isinstance(answer, BaseException):
            raise answer
        found: Answer = answer
        return found

    def close(self) -> None:
        """Let the helpers end; one in the middle of a batch ends behind it."""
        atexit.unregister(self.close)
        for pipe in (self._number, *self._pipes):
            pipe.close()
        self._nursery.join(PATIENCE)
        self._nursery.terminate()
        self._nursery.join()

    def _count(self) -> int:
        """How many there are; waits until they are ready."""
        with self._starting:
            if self._n is None:
                try:
                    self._n = int(self._number.recv())
                except (EOFError, OSError):
                    self._n = 0
                for line in [_Line(pipe) for pipe in self._pipes[: self._n]] * AT_ONCE:
                    self._free.put(line)
            return self._n


class _Line:
    """The way to a helper and back. Several threads may ask at once: the answers come in the same order."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._sending, self._answers = threading.Lock(), threading.Condition()
        self._n_sent = self._n_answered = 0

    def ask(self, batch: Batch) -> Any:
        """What comes back. Raises OSError or EOFError where there is no helper any more."""
        with self._sending:
            self._pipe.send(batch)
            number = self._n_sent
            self._n_sent += 1
        with self._answers:
            self._answers.wait_for(lambda: self._n_answered == number)
        try:
            return self._pipe.recv()
        finally:
            with self._answers:
                self._n_answered += 1
                self._answers.notify_all()


def _nursery(
    make: Callable[[], Work[Answer] | None],
    pairs: Sequence[tuple[Connection, Connection]],
    number: Connection,
    memory: int,
) -> None:
    """Build the fast way, and keep as many helpers running as memory allows, as long as they are needed."""
    from multiprocessing import get_context
    from multiprocessing.connection import wait

    for ours, _ in pairs:
        ours.close()
    try:
        work = make()
    except (LlmcliError, OSError, MemoryError):  # it is only a faster way
        return
    if work is None:
        return
    give_back()
    n, growth = _shares(memory - (resident() or 0), len(pairs))
    pipes = [theirs for _, theirs in pairs]
    context = get_context("fork")
    running: dict[int, tuple[ForkProcess, Connection]] = {}

    def helper(pipe: Connection) -> None:
        # Who holds an end of what is another's keeps its reader waiting when that one is gone.
        for other in (number, *pipes):
            if other is not pipe:
                other.close()
        _help(pipe, work, growth)

    def begin(pipe: Connection) -> None:
        """Fork a helper; where there may be no further process, its pipe is closed."""
        process = context.Process(target=helper, args=(pipe,), name="tokenize")
        try:
            process.start()
        except OSError:
            leave(pipe)
        else:
            running[process.sentinel] = process, pipe

    def leave(pipe: Connection) -> None:
        pipes.remove(pipe)
        pipe.close()

    for pipe in pipes[n:]:
        leave(pipe)
    for n_begun, pipe in enumerate(list(pipes)):
        if len(running) == n_begun:  # none has failed: they are counted from the first
            begin(pipe)
        else:
            leave(pipe)
    with suppress(OSError):  # nobody waits for it any more
        number.send(len(running))
    number.close()
    while running:
        ended = wait(list(running))
        for process, pipe in [both for sentinel, both in running.items() if sentinel in ended]:
            del running[process.sentinel]
            process.join()
            grown = process.exitcode == GROWN
            process.close()
            (begin if grown else leave)(pipe)


def _shares(left: int, most: int) -> tuple[int, int]:
    """How many helpers there may be, and by how many bytes each may grow.

    `left` is what the nursery, most of which is the process it was forked from, leaves of the memory.
    """
    room = left - FOR_BLOCKS
    n = max(1, min(most, room // (COPIED + LEAST_GROWTH + LEAP)))
    return n, max(LEAST_GROWTH, room // n - COPIED - LEAP)


def _help(pipe: Connection, work: Work[Answer], growth: int) -> None:
    """Answer until nobody asks any more, or until this process has grown."""
    begun = resident() or 0
    answer: Answer | Exception
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            batch = pipe.recv()
            try:
                answer = work(batch)
            except Exception as error:  # it is raised where the batch came from
                answer = error
            pipe.send(answer)
            if (resident() or 0) - begun > growth:
                raise SystemExit(GROWN)
