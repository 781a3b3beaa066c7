"""Continuations of a prompt one after the other, for an engine whose cache holds only one text at a time.

The same protocol as llama.cpp's own branches, so that who compares continuations need not know. What stands
in the cache already is not evaluated again, where the model can step back; a recurrent one can't.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from llmcli.engine.protocol import Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROMPT = 0
"""The branch that is the prompt."""


class SequentialBranches:
    """See the protocol `Branches`."""

    def __init__(self, engine: Scorer, prompt: Sequence[int], *, block: int = 64) -> None:
        self._engine = engine
        self._paths: dict[int, list[int]] = {PROMPT: list(prompt)}
        self._next = PROMPT
        self.n_cells = max(0, engine.context_size - len(prompt))
        self.room = 1  # a second branch takes the cache from the first, which would be evaluated again
        self.block = block

    def fork(self, parent: int = PROMPT) -> int:
        """A new branch that begins as `parent`."""
        self._next += 1
        self._paths[self._next] = list(self._paths[parent])
        return self._next

    def evaluate(self, tails: Sequence[tuple[int, Sequence[int]]]) -> list[NDArray[np.float32]]:
        """Append ids to branches; for each, a copy of the logits after each of its ids."""
        import numpy as np

        result = []
        for branch, ids in tails:
            path = self._paths[branch]
            begin = len(path)
            path += ids
            rows = [rows.copy() for _at, rows in self._engine.rows(path, begin)] if ids else []
            result.append(np.concatenate(rows) if rows else np.empty((0, 0), np.float32))
        return result

    def drop(self, branch: int) -> None:
        """Forget a branch."""
        del self._paths[branch]

    def __enter__(self) -> SequentialBranches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paths.clear()
