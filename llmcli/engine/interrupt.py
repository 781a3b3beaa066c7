"""Ctrl-C, so that it acts at once and breaks nothing.

Python runs a signal handler only between two steps of Python code. A long prompt is one single call into
llama.cpp, and an exception raised in the middle of a token would leave the cache and our account of it
apart. So there are three answers to Ctrl-C:

- inside a call into llama.cpp: the flag is set, and llama.cpp itself looks at it (its abort callback);
- while a reply is written (`deferred`): the flag is set, and the loop looks at it before each token; a
  second Ctrl-C raises KeyboardInterrupt, in case the loop hangs in something else;
- anywhere else: KeyboardInterrupt, as always in Python.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from llmcli.errors import InterruptedByUser


class AbortFlag:
    """Whether the user wants to stop. One for the process; the signal handler sets it."""

    def __init__(self) -> None:
        self.is_set = False
        self.in_call = False
        self._deferred = False

    @contextmanager
    def installed(self) -> Iterator[AbortFlag]:
        """Take over SIGINT for the time of a with-block; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = signal.signal(signal.SIGINT, self._on_sigint)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def deferred(self) -> Iterator[AbortFlag]:
        """Within the block the first Ctrl-C only sets the flag; the flag is clear at its beginning."""
        self.is_set = False
        self._deferred = True
        try:
            yield self
        finally:
            self._deferred = False

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Within the block Ctrl-C only sets the flag: llama.cpp is at work, or our account of it."""
        self.in_call = True
        try:
            yield
        finally:
            self.in_call = False

    def check(self) -> None:
        """Raise InterruptedByUser, and clear the flag, if it is set."""
        if self.is_set:
            self.is_set = False
            raise InterruptedByUser

    def _on_sigint(self, _signal: int, _frame: FrameType | None) -> None:
        # An exception raised inside a ctypes callback would be printed and lost.
        if self.in_call or (self._deferred and not self.is_set):
            self.is_set = True
        else:
            self.is_set = False
            raise KeyboardInterrupt
