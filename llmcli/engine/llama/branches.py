"""Several continuations of one prompt in the cache at once, each a sequence of its own in llama.cpp.

A branch begins as a copy of another in name only: both see the same cells of the cache, and what they see
is evaluated once. One evaluation of sixteen branches takes a third of the time of sixteen evaluations of one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmcli.engine.llama.aside import PROMPT
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.library import lib
from llmcli.errors import EngineError, WindowFullError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LlamaBranches:
    """See the protocol `Branches`. A context manager: leaving it takes every branch out of the cache."""

    def __init__(self, context: LlamaContext) -> None:
        self._context = context
        self._free = list(range(context.cache.n_sequences - 1, PROMPT, -1))
        self._lengths = {PROMPT: len(context.cached)}
        self.n_cells = context.size - len(context.cached)
        self.room = min(len(self._free), self.n_cells)
        self.block = context.block
        self._batch = _Batch(self.block)

    def fork(self, parent: int = PROMPT) -> int:
        """A new branch that begins as `parent`."""
        if parent not in self._lengths or not self._free:
            raise EngineError(f"no such branch, or no room for more than {self.room}")
        branch = self._free.pop()
        lib.llama_memory_seq_cp(self._context.cache.memory, parent, branch, -1, -1)
        self._lengths[branch] = self._lengths[parent]
        return branch

    def evaluate(self, tails: Sequence[tuple[int, Sequence[int]]]) -> list[NDArray[np.float32]]:
        """Append ids to branches, all at once; for each, the logits after each of its ids."""
        import numpy as np

        n_tokens = sum(len(ids) for _branch, ids in tails)
        if not n_tokens:
            return [np.empty((0, self._context.n_vocab), np.float32) for _ in tails]
        if n_tokens > self.block or any(branch not in self._lengths for branch, _ids in tails):
            raise EngineError(f"no such branch, or more than {self.block} tokens at once")
        batch = self._batch
        batch.clear()
        for branch, ids in tails:
            if self._lengths[branch] + len(ids) > self._context.size:
                raise WindowFullError(
                    f"the prompt and its continuation do not fit the window of {self._context.size:,} tokens",
                    hint="shorten them, or ask for a larger window with -c",
                )
            for at, token_id in enumerate(ids, self._lengths[branch]):
                self._context.check_id(token_id)
                batch.add(token_id, at, branch)
        self._context.evaluate(batch.c_batch, n_tokens)
        for branch, ids in tails:
            self._lengths[branch] += len(ids)
        rows = self._context.all_logits(n_tokens)
        ends = np.cumsum([len(ids) for _branch, ids in tails])
        return np.split(rows, ends[:-1])

    def drop(self, branch: int) -> None:
        """Take a branch out of the cache, with what no other branch shares."""
        del self._lengths[branch]
        lib.llama_memory_seq_rm(self._context.cache.memory, branch, -1, -1)
        self._free.append(branch)

    def __enter__(self) -> LlamaBranches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for branch in [b for b in self._lengths if b != PROMPT]:
            self.drop(branch)


class _Batch:
    """llama.cpp's batch of tokens with positions and sequences; every token gets logits."""

    def __init__(self, capacity: int) -> None:
        self._tokens = (lib.llama_token * capacity)()
        self._positions = (lib.llama_pos * capacity)()
        self._n_sequences = (ctypes.c_int32 * capacity)(*[1] * capacity)
        self._sequences = (lib.llama_seq_id * capacity)()
        pointer = ctypes.POINTER(lib.llama_seq_id)
        size = ctypes.sizeof(lib.llama_seq_id)
        begin = ctypes.addressof(self._sequences)
        # Held here, as all the arrays: llama.cpp keeps only addresses.
        self._pointers = (pointer * capacity)(
            *(ctypes.cast(begin + i * size, pointer) for i in range(capacity))
        )
        self._every_row = (ctypes.c_int8 * capacity)(*[1] * capacity)
        self.c_batch: Any = lib.llama_batch(
            n_tokens=0,
            token=self._tokens,
            pos=self._positions,
            n_seq_id=self._n_sequences,
            seq_id=self._pointers,
            logits=self._every_row,
        )
        self._n = 0

    def clear(self) -> None:
        self._n = 0

    def add(self, token_id: int, position: int, sequence: int) -> None:
        at = self._n
        self._tokens[at], self._positions[at], self._sequences[at] = token_id, position, sequence
        self._n += 1
