"""What the files of models said of themselves the last time, so that a list reads only new and changed ones.

The first look at a large vocabulary takes three milliseconds a file, and as many megabytes from the disk as
it has. A file is the same as long as its size and the time of its last change are.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

from llmcli.gguf.summary import Summary, summarize
from llmcli.settings.checked_file import read_checked, write_checked

VERSION = 1
"""Of what is remembered: to be raised when `summarize` finds something else in the same file."""


class Remembered:
    """Summaries of files, kept in one `file`; without one, each is made anew."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        content = read_checked(file) if file else None
        version, known = json.loads(content) if content else (VERSION, {})
        self._known: dict[str, list[Any]] = known if version == VERSION else {}
        self._used: dict[str, list[Any]] = {}

    def summary(self, path: Path, *, to_the_end: bool) -> Summary:
        """See `summarize`: what it says now, or said when it last looked at the same file."""
        there = path.stat()
        state = [there.st_size, there.st_mtime_ns, to_the_end]
        known = self._known.get(str(path))
        if known is None or known[: len(state)] != state:
            known = [*state, *astuple(summarize(path, to_the_end=to_the_end))]
        self._used[str(path)] = known
        return Summary(*known[len(state) :])

    def save(self) -> None:
        """Remember the files that were asked for, and forget all others."""
        if self._file is not None and self._used != self._known:
            write_checked(self._file, json.dumps([VERSION, self._used]).encode())
