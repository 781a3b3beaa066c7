"""Signals that end the program, and what is done before they do."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Those that end a program from outside; Windows has no SIGHUP."""


@contextmanager
def before_ending(tidy: Callable[[], None]) -> Iterator[None]:
    """Call `tidy` where a signal ends the program within the block; of blocks within blocks the inner first.

    A signal that is ignored, as under nohup, stays so. Outside the main thread, to which all signals go,
    nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    found: dict[int, Any] = {}

    def end(number: int, _frame: FrameType | None) -> None:
        if os.getpid() == owner:  # a process forked within the block has nothing of ours to tidy up
            tidy()
        raise_as(number, found[number])

    for number in ENDING:
        before = signal.getsignal(number)
        if before not in (signal.SIG_IGN, None):
            found[number] = before
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in found.items():
            signal.signal(number, handler)


def raise_as(number: int, handler: Any) -> None:
    """Send this process the signal again, to be handled by `handler`."""
    signal.signal(number, handler)
    os.kill(os.getpid(), number)
