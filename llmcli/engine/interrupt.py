"""Ctrl-C, so that it acts at once and breaks nothing.

Python runs a signal handler only between two steps of Python code. A long prompt is one single call into
llama.cpp, and an exception raised in the middle of a token would leave the cache and our account of it
apart. So there are three answers to Ctrl-C:

- inside a call into llama.cpp: the flag is set, and llama.cpp itself looks at it (its abort callback); where
  another thread is inside, it is for whoever waits for that thread to set the flag;
- while a reply is written (`deferred`): the flag is set, and the loop looks at it before each token; a
  second Ctrl-C raises KeyboardInterrupt, in case the loop hangs in something else;
- anywhere else: KeyboardInterrupt, as always in Python; but for an import, which ends first, and nothing
  behind it begins. One that was cut short would leave half a package behind, and the next to need it would
  fail.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from llmcli.errors import InterruptedByUser

AGAIN_AFTER = 0.02
"""Seconds after which a Ctrl-C is tried again that came where it could not be raised."""

IMPORTING = "<frozen importlib._bootstrap>"
"""The file of the functions that import modules."""


class _Here(threading.local):
    """What is so in the present thread."""

    in_call = False


class AbortFlag:
    """Whether the user wants to stop. One for the process; the signal handler sets it."""

    def __init__(self) -> None:
        self.is_set = False
        self._here = _Here()
        self._deferred = False

    @property
    def in_call(self) -> bool:
        """Whether the present thread is in a call into llama.cpp, or at our account of it."""
        return self._here.in_call

    @in_call.setter
    def in_call(self, value: bool) -> None:
        self._here.in_call = value

    def take_over(self) -> None:
        """Take over SIGINT from Python for the rest of the program; where it is ignored, it stays so.

        A shell starts a job in the background with Ctrl-C ignored.
        """
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._on_sigint)

    @contextmanager
    def installed(self) -> Iterator[AbortFlag]:
        """Take over SIGINT for the time of a with-block, unless it is ignored; only the main thread can.

        The flag is clear at its beginning: what was pressed before was for something else.
        """
        self.is_set = False
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            yield self
            return
        before = signal.signal(signal.SIGINT, self._on_sigint)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    def disregard(self) -> None:
        """Let Ctrl-C do nothing from now on, in a block of `installed`: until its end, or another block."""
        # No SIG_IGN: programs that are started meanwhile would inherit it.
        signal.signal(signal.SIGINT, lambda _signal, _frame: None)

    @contextmanager
    def deferred(self) -> Iterator[AbortFlag]:
        """Within the block the first Ctrl-C only sets the flag; what set it before the block counts too."""
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

    def _on_sigint(self, _signal: int, frame: FrameType | None) -> None:
        # An exception raised inside a ctypes callback would be printed and lost.
        if self.in_call or (self._deferred and not self.is_set):
            self.is_set = True
        elif importer := _importer(frame):
            _handle_behind(importer)
        else:
            self.is_set = False
            raise KeyboardInterrupt


_tries: list[threading.Timer] = []
"""The timer that sends a Ctrl-C once more, where one was set; of several the one that ends last."""


def try_again() -> None:
    """Send this process its Ctrl-C once more, in a moment."""
    again = threading.Timer(AGAIN_AFTER, _interrupt)
    again.daemon = True
    _tries[:] = [again]
    with suppress(RuntimeError):  # at the very end Python starts no thread, and there is nothing left to stop
        again.start()


def is_to_come() -> bool:
    """Whether a Ctrl-C that is tried again has not come yet: a program that ends now was interrupted."""
    return any(again.is_alive() for again in _tries)


def _interrupt() -> None:
    if os.name == "nt":
        signal.raise_signal(signal.SIGINT)  # there os.kill ends the process at once
    else:
        os.kill(os.getpid(), signal.SIGINT)  # wakes the main thread, whichever thread sends it


def _importer(frame: FrameType | None) -> FrameType | None:
    """Who imports what is being imported here, and is not being imported itself; None: nothing is."""
    importer = None
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            importer = frame.f_back
        frame = frame.f_back
    return importer


def _handle_behind(importer: FrameType) -> None:
    """Handle SIGINT as soon as `importer` goes on.

    To try again and again is not enough: other threads run when the main one reads a file, and while it
    imports it does so in imports alone, up to the last one.
    """

    def handle(_frame: FrameType, _event: str, _argument: object) -> None:
        sys.settrace(None)
        importer.f_trace, importer.f_trace_opcodes = None, False
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, importer)

    if sys.gettrace() is None:
        importer.f_trace, importer.f_trace_opcodes = handle, True
        sys.settrace(_trace_nothing)
    elif sys.gettrace() is not _trace_nothing:  # a debugger is at work
        try_again()


def _trace_nothing(_frame: FrameType, _event: str, _argument: object) -> None:
    """Without a trace function Python calls none in `importer` either."""
