"""The keyboard while nobody is asked anything: while a model loads, a reply is written, a command runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from llmcli.settings.ending import before_ending, raise_as

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

Leave = Callable[[], None]


@contextmanager
def held_back(*, by_line: bool = False, farewell: bytes = b"") -> Iterator[Leave]:
    """What is typed within the block waits for whoever reads it: it is not echoed into what is printed.

    Enter stays Enter, and Ctrl-C still interrupts; `by_line` leaves it to the terminal to edit lines, as
    `echoed` needs it. A signal that stops the program finds the terminal as it was, and so does one that
    ends it, which also writes `farewell`. Gives a function that does the same, for an end that goes past the
    block. Without a POSIX terminal nothing is changed.
    """
    if termios is None or not sys.stdin.isatty():
        yield lambda: None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    waiting = list(before)
    waiting[3] &= ~termios.ECHO  # the local flags; ISIG stays
    if not by_line:
        waiting[0] &= ~termios.ICRNL  # the input flags: a return is not made a newline
        waiting[3] &= ~termios.ICANON

    def restore() -> None:
        with suppress(termios.error):  # a terminal that is gone
            termios.tcsetattr(descriptor, termios.TCSANOW, before)

    def leave() -> None:
        restore()
        with suppress(OSError):
            os.write(sys.__stdout__.fileno() if sys.__stdout__ else descriptor, farewell)

    def stop(number: int, _frame: FrameType | None) -> None:
        present = termios.tcgetattr(descriptor)
        restore()
        raise_as(number, signal.SIG_DFL)  # comes back when the shell lets the program go on
        signal.signal(number, stop)
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, present)

    with before_ending(leave):
        stopped_by = signal.getsignal(signal.SIGTSTP)
        if stopped_by != signal.SIG_IGN:  # a shell without job control
            signal.signal(signal.SIGTSTP, stop)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, waiting)
        try:
            yield leave
        finally:
            with suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            signal.signal(signal.SIGTSTP, stopped_by)


@contextmanager
def echoed() -> Iterator[None]:
    """Within the block, inside one in which the keyboard is held back, the terminal shows what is typed."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    shown = list(before)
    shown[3] |= termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, shown)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
