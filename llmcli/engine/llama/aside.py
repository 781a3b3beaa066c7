"""Part of a cache put aside: a second sequence in it, which the evaluation does not see.

llama.cpp appends at the end of a sequence, and nowhere else. Where something new belongs before what is in
the cache, that goes aside, the new is evaluated, and it comes back behind it. So does a whole cache in whose
place another text is evaluated for a while. What is aside takes its room all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmcli.engine.llama.library import lib

PROMPT = 0
"""The sequence that is evaluated: what the context's `cached` lists."""


class Aside:
    """The sequence of a cache that holds what is aside."""

    def __init__(self, memory: Any, sequence: int) -> None:
        self._memory, self._sequence = memory, sequence

    def copy(self) -> None:
        """Put all of it aside, and leave it where it is."""
        lib.llama_memory_seq_cp(self._memory, PROMPT, self._sequence, -1, -1)

    def restore(self, n_tokens: int) -> bool:
        """Have what was copied back in the place of what is there now; False where it is not all there."""
        is_whole = lib.llama_memory_seq_pos_max(self._memory, self._sequence) == n_tokens - 1
        lib.llama_memory_seq_rm(self._memory, PROMPT, -1, -1)
        self.give_back()
        self.clear()
        return bool(is_whole)

    def take(self, begin: int, ranges: Sequence[tuple[int, int]]) -> None:
        """Put aside what stands from `begin` on, and move it into these ranges, in order.

        It is as long as all of them together, and none of it moves up.
        """
        lib.llama_memory_seq_cp(self._memory, PROMPT, self._sequence, begin, -1)
        lib.llama_memory_seq_rm(self._memory, PROMPT, begin, -1)
        at = begin + sum(end - start for start, end in ranges)
        for start, end in reversed(ranges):
            at -= end - start
            lib.llama_memory_seq_add(self._memory, self._sequence, at, at + end - start, start - at)

    def give_back(self, start: int = -1, end: int = -1) -> None:
        """Have the tokens of a range, or all, back where they are evaluated upon."""
        lib.llama_memory_seq_cp(self._memory, self._sequence, PROMPT, start, end)

    def clear(self) -> None:
        """Nothing is aside any more; what was given back stays."""
        lib.llama_memory_seq_rm(self._memory, self._sequence, -1, -1)
