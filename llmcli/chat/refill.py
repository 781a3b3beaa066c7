"""Evaluating what the next prompt begins with, while the user types."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.plan import plan
from llmcli.engine.protocol import Generator, Progress
from llmcli.errors import LlmcliError

STEP = 64
"""How many tokens are evaluated before a look at whether someone waits."""

LOOK = 0.1
"""Seconds between two looks at a step that somebody waits for."""

WORTH_IT = 32
"""Fewer tokens than these are evaluated in no time with the next prompt."""


@dataclass(frozen=True)
class Ahead:
    """The ids that the next prompt begins with, and whether the cache may be shifted to hold them."""

    ids: Sequence[int]
    may_shift: bool


class Refill:
    """One piece of work for the engine, done in a thread of its own until it is finished or stopped.

    Between `start` and `stop` the engine belongs to that thread: whoever wants it calls `stop` first. What
    was evaluated by then stays in the cache, and the next turn evaluates what is left.
    """

    def __init__(self, engine: Generator, abort: AbortFlag) -> None:
        self._engine, self._abort = engine, abort
        self._wanted = threading.Event()
        # Not the thread's own join(): after a KeyboardInterrupt in it Python takes the thread for ended.
        self._is_idle = threading.Event()
        self._is_idle.set()

    @property
    def busy(self) -> bool:
        """Whether the engine belongs to the thread, and it is at work."""
        return not self._is_idle.is_set()

    def start(self, ahead: Ahead, on_change: Callable[[], None] | None = None) -> None:
        """Begin to evaluate `ahead`, unless that is hardly any work; `on_change` is told of each step."""
        self.stop()
        may_shift = ahead.may_shift and self._engine.can_shift
        steps = plan(self._engine.cached, ahead.ids, may_shift)
        if steps.fed(len(ahead.ids)) >= WORTH_IT:
            # What moves goes behind all that is new before it, and is lost if that is left for later.
            first = steps.moved[-1][1] + 1 if steps.moved else steps.kept + STEP
            work = ahead.ids, first, may_shift, on_change
            self._wanted.clear()
            self._is_idle.clear()
            try:
                threading.Thread(target=self._run, args=work, daemon=True).start()
            except RuntimeError:  # no thread may be begun any more: the next turn does it all
                self._is_idle.set()
        elif may_shift:
            self._engine.ready(ahead.ids, may_shift=True)

    def stop(self, on_wait: Progress | None = None) -> None:
        """Have the engine back, as soon as the step at hand is done; `on_wait` is called until then.

        Ctrl-C ends the step in the middle, and raises KeyboardInterrupt.
        """
        if not self.busy:
            return
        self._wanted.set()
        try:
            while not self._is_idle.wait(LOOK):
                if on_wait:
                    on_wait(0.0)
        except KeyboardInterrupt:
            self._abort.is_set = True
            self._is_idle.wait()
            raise
        finally:
            if self._is_idle.is_set():
                self._abort.is_set = False

    def _run(
        self, ids: Sequence[int], first: int, may_shift: bool, on_change: Callable[[], None] | None
    ) -> None:
        try:
            for end in [*range(first, len(ids), STEP), len(ids)]:
                if self._wanted.is_set():
                    return
                self._engine.ready(ids[:end], may_shift=may_shift)
                if on_change:
                    on_change()
        except LlmcliError:
            pass  # the turn that needs it meets the same, and says so
        finally:
            self._is_idle.set()
