"""Which process has a session open: a lock that the system lets go of when its owner dies.

All sessions share one file. Session n is locked by a lock on bytes [8n, 8n + 8), which hold the owner's
process number, so that whoever comes second can be told who was first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

try:
    import fcntl as posix_locks
except ImportError:  # Windows
    posix_locks = None  # type: ignore[assignment]

fcntl: Any = posix_locks

_WIDTH = 8


class Locks:
    """The locks that this process holds. One object a process and file: closing it lets go of all of them."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, number: int) -> int | None:
        """Lock session `number`; where another process has it, that process's number (0: unknown).

        Where the system has no such locks, nothing is locked.
        """
        if fcntl is None:
            return None
        start = _WIDTH * number
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _WIDTH, start)
        except (BlockingIOError, PermissionError):
            return int.from_bytes(os.pread(self._file, _WIDTH, start), "little")
        os.pwrite(self._file, os.getpid().to_bytes(_WIDTH, "little"), start)
        return None

    def release(self, number: int) -> None:
        """Let go of session `number`."""
        if fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _WIDTH, _WIDTH * number)

    def close(self) -> None:
        """Let go of everything."""
        # Taken first: a Ctrl-C behind the call would leave a number that may be another file's by then.
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
