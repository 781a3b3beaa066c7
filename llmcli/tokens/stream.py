"""Bytes to text as they come: the last step of the road, from a token's bytes to the screen.

A token may end in the middle of a character (Hangul and emoji often do) and a stop string may begin in one
token and end three tokens later. So text is held back exactly as long as it may still turn out to be
something else, at a constant cost a token, however long the reply.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable


class TextStream:
    """Turns the bytes of one token after another into text that can be shown.

    >>> stream = TextStream(stops=["END"])
    >>> stream.push("한".encode()[:2]), stream.push("한".encode()[2:])
    ('', '한')
    >>> stream.push(b"a E"), stream.push(b"N"), stream.push(b"D b"), stream.stopped
    ('a ', '', '', 'END')

    Bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self, stops: Iterable[str] = ()) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.stopped: str | None = None

    def push(self, piece: bytes) -> str:
        """The text that is certain after `piece`: complete characters, no beginning of a stop string."""
        text = self._decode(piece)
        return self._release(text, final=False) if self._stops else text

    def finish(self) -> str:
        """What was held back, when nothing more comes."""
        text = self._decode(b"", True)
        return self._release(text, final=True) if self._stops else text

    def _release(self, new: str, *, final: bool) -> str:
        if self.stopped is not None:
            return ""
        text = self._held + new
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            at, self.stopped = min(found, key=lambda match: match[0])
            self._held = ""
            return text[:at]
        hold = 0 if final else self._beginning_of_a_stop(text)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]

    def _beginning_of_a_stop(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a stop string."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0
