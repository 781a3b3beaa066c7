"""The keyboard while nobody is asked anything: while a model loads, a reply is written, a command runs."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from llmcli.settings.ending import before_ending, raise_as

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

MARK_PASTES, MARK_NO_PASTES = b"\x1b[?2004h", b"\x1b[?2004l"


@dataclass(frozen=True)
class Held:
    """A keyboard that is held back.

    `leave` gives the terminal back as it was, for an end that goes past the block. `typed` is what was typed
    before it, if it was asked for: Enter still was a newline then.
    """

    leave: Callable[[], None] = lambda: None
    typed: bytes = b""


@contextmanager
def held_back(*, by_line: bool = False, takes_typed: bool = False, farewell: bytes = b"") -> Iterator[Held]:
    """What is typed within the block waits for whoever reads it: it is not echoed into what is printed.

    Enter stays Enter, what is pasted stays one, and Ctrl-C still interrupts; `by_line` leaves it to the
    terminal to edit lines, as `echoed` needs it. A signal that stops the program finds the terminal as it
    was, and so does one that ends it, which also writes `farewell`. Without a POSIX terminal nothing is
    changed.
    """
    if termios is None or not sys.stdin.isatty():
        yield Held()
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
        if not by_line:
            _tell(MARK_NO_PASTES)

    def leave() -> None:
        restore()
        _tell(farewell)

    def stop(number: int, _frame: FrameType | None) -> None:
        present = termios.tcgetattr(descriptor)
        restore()
        raise_as(number, signal.SIG_DFL)  # comes back when the shell lets the program go on
        signal.signal(number, stop)
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, present)
        if not by_line:
            _tell(MARK_PASTES)

    with before_ending(leave):
        stopped_by = signal.getsignal(signal.SIGTSTP)
        if stopped_by != signal.SIG_IGN:  # a shell without job control
            signal.signal(signal.SIGTSTP, stop)
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, waiting)
            typed = b""
            if not by_line:
                if takes_typed and select.select([descriptor], [], [], 0)[0]:
                    with suppress(OSError):  # a terminal that is gone
                        typed = os.read(descriptor, 1 << 16)
                _tell(MARK_PASTES)
            yield Held(leave, typed)
        finally:
            if not by_line:
                _tell(MARK_NO_PASTES)
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


def mark_pastes() -> None:
    """Have the terminal mark what is pasted also when no line is edited: it is one message all the same."""
    if termios is not None:
        _tell(MARK_PASTES)


def type_again(typed: bytes) -> None:
    """Have the next prompt begin with what was typed while Enter was a newline still."""
    if not typed:
        return
    from prompt_toolkit.application.current import get_app_session
    from prompt_toolkit.input.typeahead import store_typeahead
    from prompt_toolkit.input.vt100_parser import Vt100Parser
    from prompt_toolkit.key_binding import KeyPress

    keys: list[KeyPress] = []
    parser = Vt100Parser(keys.append)
    parser.feed(typed.replace(b"\n", b"\r").decode("utf-8", "surrogateescape"))
    store_typeahead(get_app_session().input, keys)


def _tell(codes: bytes) -> None:
    """Write to the terminal, past everything that may be waiting to be written."""
    with suppress(OSError):
        os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, codes)
