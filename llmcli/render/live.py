"""The last lines on a terminal, which may still change: rewritten where they differ, and nowhere else.

Text that only grows is written as it comes. Where a line changes, the cursor goes up to it, and everything
from there on is written anew, as one write that terminals with synchronized output show at once.
"""

from __future__ import annotations

from collections.abc import Sequence

BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
ERASE_BELOW = "\x1b[J"


class LiveLines:
    """Lines at the cursor: what to write to the terminal so that it shows others in their place.

    >>> live = LiveLines()
    >>> live.show(["one", "tw"]), live.show(["one", "two", "three"])
    ('one\\ntw', 'o\\nthree')
    >>> live.keep(["one", "two", "3"])
    '\\x1b[?2026h\\r\\x1b[J3\\x1b[?2026l\\n'

    The cursor stands behind the last of them. They have to fit on the screen, in its width and height.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def show(self, lines: Sequence[str]) -> str:
        """Show `lines` in place of those that are there."""
        old, self._lines = self._lines, list(lines)
        same = 0
        while same < min(len(old), len(lines)) and old[same] == lines[same]:
            same += 1
        if not old or same == len(old):
            return "\n" * (0 < same < len(lines)) + "\n".join(lines[same:])
        if same == len(old) - 1 < len(lines) and lines[same].startswith(old[same]):
            return "\n".join([lines[same][len(old[same]) :], *lines[same + 1 :]])
        first = min(same, max(0, len(lines) - 1))
        up = len(old) - 1 - first
        go_up = f"\x1b[{up}A" if up else ""
        return f"{BEGIN}{go_up}\r{ERASE_BELOW}{chr(10).join(lines[first:])}{END}"

    def keep(self, lines: Sequence[str]) -> str:
        """Show `lines` for good: they are never touched again, and the cursor goes to a line of its own."""
        shown = self.show(lines)
        self._lines = []
        return shown + "\n" if lines else shown

    def keep_first(self, n: int) -> None:
        """Leave the first `n` of the lines as they are, for good."""
        del self._lines[:n]
