"""The terminal while a command has it to itself; it is as it was before, however the program ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from llmcli.cli.console import Console
from llmcli.settings.ending import before_ending

AS_BEFORE = b"\x1b[?2004l\x1b[?25h\x1b[0m\n"
"""Ends bracketed paste, shows the cursor, and takes all colours away."""
ORDINARY_SCREEN = b"\x1b[?7h\x1b[?1049l"
"""Breaks long lines again, and leaves the other screen: on the ordinary one this would move the cursor."""


@contextmanager
def silent_keyboard(console: Console, *, takes_typed: bool = False) -> Iterator[bytes]:
    """What is typed while nobody is asked, as while the model loads, waits for whoever asks.

    Gives what was typed before, where it `takes_typed`; llmcli.repl.keyboard's `type_again` hands it on.
    """
    from llmcli.repl.keyboard import held_back

    moves = console.moves_cursor
    with (
        held_back(by_line=not moves, takes_typed=takes_typed, farewell=AS_BEFORE if moves else b"") as held,
        _whatever_happens(console, held.leave),
    ):
        yield held.typed


@contextmanager
def other_screen(console: Console) -> Iterator[None]:
    """Within the block something has the whole screen, and a block of `silent_keyboard` is around it."""
    keyboard_as_before = console.before_sudden_end

    def leave() -> None:
        if console.stdout is not None:
            with suppress(OSError):
                os.write(console.stdout.fileno(), ORDINARY_SCREEN)

    def leave_all() -> None:
        leave()
        keyboard_as_before()

    with before_ending(leave), _whatever_happens(console, leave_all):
        yield


@contextmanager
def _whatever_happens(console: Console, leave: Callable[[], None]) -> Iterator[None]:
    """Within the block an end that goes past everything calls `leave` first."""
    before = console.before_sudden_end
    console.before_sudden_end = leave
    try:
        yield
    finally:
        console.before_sudden_end = before
