"""Evaluating what the next prompt begins with, while the user types."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmcli.engine.plan import plan
from llmcli.engine.protocol import Generator
from llmcli.errors import LlmcliError

STEP = 64
"""How many tokens are evaluated before a look at whether someone waits."""

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

    def __init__(self, engine: Generator) -> None:
        self._engine = engine
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the engine belongs to the thread, and it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, ahead: Ahead, on_change: Callable[[], None] | None = None) -> None:
        """Begin to evaluate `ahead`, unless that is hardly any work; `on_change` is told of each step."""
        self.stop()
        may_shift = ahead.may_shift and self._engine.can_shift
        steps = plan(self._engine.cached, ahead.ids, may_shift)
        if steps.fed(len(ahead.ids)) >= WORTH_IT:
            # What moves goes behind all that is new before it, and is lost if that is left for later.
            first = steps.moved[-1][1] + 1 if steps.moved else steps.kept + STEP
            work = ahead.ids, first, may_shift, on_change
            self._thread = threading.Thread(target=self._run, args=work, daemon=True)
            self._thread.start()
        elif may_shift:
            self._engine.ready(ahead.ids, may_shift=True)

    def stop(self) -> None:
        """Have the engine back, as soon as the step at hand is done."""
        if self._thread is not None:
            self._wanted.set()
            try:
                self._thread.join()
            finally:
                if not self._thread.is_alive():
                    self._thread = None
                    self._wanted.clear()

    def _run(
        self, ids: Sequence[int], first: int, may_shift: bool, on_change: Callable[[], None] | None
    ) -> None:
        for end in [*range(first, len(ids), STEP), len(ids)]:
            if self._wanted.is_set():
                return
            try:
                self._engine.ready(ids[:end], may_shift=may_shift)
            except LlmcliError:
                return  # the turn that needs it meets the same, and says so
            if on_change:
                on_change()
