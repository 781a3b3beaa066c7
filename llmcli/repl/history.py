"""What was typed, kept over runs: for its author alone to read, and never a reason to stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

OnProblem = Callable[[Path, OSError], None]


def open_history(path: Path | None, on_problem: OnProblem) -> History:
    """The history in a file; in memory without one, or where `on_problem` hears that it can't be kept."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What people write to a model is theirs alone to read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        on_problem(path, error)
        return InMemoryHistory()
    return _KeptHistory(path, on_problem)


class _KeptHistory(FileHistory):
    """A history in a file; where the disk takes no more, `on_problem` hears of it and memory serves."""

    def __init__(self, path: Path, on_problem: OnProblem) -> None:
        super().__init__(str(path))
        self._path, self._on_problem = path, on_problem

    def store_string(self, string: str) -> None:
        """Called with each line that was sent."""
        try:
            super().store_string(string)
        except OSError as error:
            self._on_problem(self._path, error)
