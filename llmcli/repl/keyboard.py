"""The keyboard while a reply is written."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]


@contextmanager
def held_back() -> Iterator[None]:
    """What is typed within the block waits for the next prompt: it is not echoed into the reply.

    Enter stays Enter, and Ctrl-C still interrupts. A signal that ends the program finds the terminal as it
    was. Without a POSIX terminal nothing is changed.
    """
    if termios is None or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    waiting = list(before)
    waiting[0] &= ~termios.ICRNL  # the input flags: a return is not made a newline
    waiting[3] &= ~(termios.ECHO | termios.ICANON)  # the local flags; ISIG stays

    def end(number: int, _frame: FrameType | None) -> None:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    handlers = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    termios.tcsetattr(descriptor, termios.TCSADRAIN, waiting)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
