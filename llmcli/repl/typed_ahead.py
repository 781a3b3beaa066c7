"""What is typed or pasted while a reply is written, where a terminal can not hold it all."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyPress

from llmcli.errors import InterruptedByUser

try:
    import fcntl
    import termios

    from prompt_toolkit.input.vt100 import Vt100Input
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

MUCH = 2048
"""Bytes from which on they are read. A terminal holds 4,096 (Linux), and hears no Ctrl-C behind those."""
EVERY = 0.05
"""Seconds between two looks."""


@contextmanager
def taken_in(source: Input, was_stopped: Callable[[], bool]) -> Iterator[None]:
    """Read what is typed within the block, where it is much; the next prompt begins with it.

    What was read before a Ctrl-C is dropped, as the terminal drops what it holds: where the block is left by
    that, and where it ends in order but `was_stopped`.
    """
    if termios is None or not isinstance(source, Vt100Input):
        yield
        return
    keys = list[KeyPress]()
    is_over, is_dropped = threading.Event(), False
    reader = threading.Thread(target=_read, args=(source, keys, is_over), daemon=True)
    with suppress(RuntimeError):  # no thread may be begun any more
        reader.start()
    try:
        yield
        is_dropped = was_stopped()
    except (KeyboardInterrupt, InterruptedByUser):
        is_dropped = True
        raise
    finally:
        is_over.set()
        if reader.ident is not None:
            reader.join()
        if not is_dropped:
            store_typeahead(source, keys)
        else:
            # It may be in the middle of a paste, whose end the terminal has dropped.
            source.vt100_parser.reset()


def _read(source: Vt100Input, keys: list[KeyPress], is_over: threading.Event) -> None:
    terminal = source.fileno()
    with suppress(OSError):  # a terminal that is gone
        while not is_over.wait(EVERY):
            # All of it: a terminal that was full takes more only when hardly anything is left.
            least = MUCH
            while _n_waiting(terminal) >= least and _is_ours(terminal):
                keys += source.read_keys()
                least = 1


def _is_ours(terminal: int) -> bool:
    """Whether the program is in the foreground: in the background, whoever reads is stopped."""
    return os.tcgetpgrp(terminal) == os.getpgrp()


def _n_waiting(descriptor: int) -> int:
    """How many bytes there are to be read from a terminal."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
