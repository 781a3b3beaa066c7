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
        shifts = ahead.may_shift and self._engine.can_shift
        if shifts:
            self._engine.ready(ahead.ids, may_shift=True)
            return
        kept = plan(self._engine.cached, ahead.ids, can_shift=False).kept
        if len(ahead.ids) - kept >= WORTH_IT:
            self._thread = threading.Thread(target=self._run, args=(ahead.ids, kept, on_change), daemon=True)
            self._thread.start()

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

    def _run(self, ids: Sequence[int], kept: int, on_change: Callable[[], None] | None) -> None:
        for end in [*range(kept + STEP, len(ids), STEP), len(ids)]:
            if self._wanted.is_set():
                return
            try:
                self._engine.ready(ids[:end])
            except LlmcliError:
                return  # the turn that needs it meets the same, and says so
            if on_change:
                on_change()
