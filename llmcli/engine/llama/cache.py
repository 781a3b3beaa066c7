"""The KV cache of a context and the account of it: which ids are in it, what is cut, moved and put aside.

Nothing is evaluated here. The account and the cache are one only between calls that Ctrl-C can't interrupt:
whoever changes them holds `AbortFlag.calling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from llmcli.engine.llama.aside import PROMPT, Aside
from llmcli.engine.llama.library import lib
from llmcli.engine.llama.memory import can_shift, can_step_back
from llmcli.engine.plan import Plan


class LlamaCache:
    """What a context's cache holds of the sequence that is evaluated."""

    def __init__(self, model: int, context: int) -> None:
        """Take stock of a new C context of a C model."""
        self._model = model
        self.memory: Any = lib.llama_get_memory(context)
        """The C cache."""
        self.ids: list[int] = []
        self._moved_at = inf  # where what was moved within the cache begins
        self.can_shift = can_shift(model, self.memory)
        """Whether what stands further back in the cache can be moved, and put aside."""
        n_sequences = lib.llama_n_seq_max(context)
        self.aside = Aside(self.memory, n_sequences - 1) if self.can_shift else None
        self.n_sequences: int = n_sequences - (1 if self.aside else 0)
        """How many branches there can be, the one that `ids` speaks of among them."""

    def step_back(self, steps: Plan) -> Plan:
        """Cut the cache to what a plan keeps, and put aside, where it belongs, what it moves; the plan.

        Where the model can't, the cache is empty, and the plan is to evaluate everything.
        """
        is_there = can_step_back(self._model, self.memory, len(self.ids), steps.kept)
        if is_there and all(self._cut(start, end) for start, end in reversed(steps.cuts)):
            if self.aside and steps.moved:
                self.aside.take(steps.kept, steps.moved)
                self._moved_at = min(self._moved_at, steps.kept)
                del self.ids[steps.kept :]
            return steps
        self._clear()
        return Plan((), 0)

    def give_back(self, ids: Sequence[int]) -> None:
        """Have `ids`, which were put aside where they belong, behind what is in the cache."""
        if self.aside and ids:
            start = len(self.ids)
            self.aside.give_back(start, start + len(ids))
            self.ids += ids

    def cut_tail(self) -> None:
        """Take out what stands behind `ids`: part of a batch that failed."""
        if not lib.llama_memory_seq_rm(self.memory, PROMPT, len(self.ids), -1):
            self._clear()

    def hold(self, ids: Sequence[int]) -> None:
        """Take note that the cache was filled with `ids` from outside; without any, empty it."""
        if not ids:
            self._clear()
        self.ids[:] = ids
        self._moved_at = 0 if ids else inf  # nobody knows

    @property
    def holds_moved(self) -> bool:
        """Whether something was moved within the cache."""
        return self._moved_at < len(self.ids)

    def forget_moved(self) -> None:
        """Take out what was moved within the cache, and what was evaluated behind that."""
        self._cut(int(self._moved_at), len(self.ids))

    def _cut(self, start: int, end: int) -> bool:
        """Take [start, end) out of the cache and move up what follows; False where the model can't."""
        if not lib.llama_memory_seq_rm(self.memory, PROMPT, start, end):
            return False
        if end < len(self.ids):
            lib.llama_memory_seq_add(self.memory, PROMPT, end, -1, start - end)
            self._moved_at = min(self._moved_at, start)
        elif start <= self._moved_at:
            self._moved_at = inf
        del self.ids[start:end]
        return True

    def _clear(self) -> None:
        lib.llama_memory_clear(self.memory, True)
        self.ids.clear()
        self._moved_at = inf
