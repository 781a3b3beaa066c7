"""What a reasoning model thinks, apart from what it says: `<think>...</think>` at the head of a reply."""

from __future__ import annotations

from enum import Enum, auto

OPEN, CLOSE = "<think>", "</think>"


class _At(Enum):
    START = auto()
    THINKING = auto()
    ANSWER = auto()


class ThinkingSplitter:
    """Sorts streamed text into thinking and answer.

    >>> splitter = ThinkingSplitter()
    >>> splitter.push("<thi"), splitter.push("nk>hm</think>yes")
    ([], [('hm', True), ('yes', False)])

    Only a reply that begins with the tag has thinking in it, or one whose prompt already opened it
    (`opened`); a `<think>` further on is text like any other. A reply that has `begun` goes on, in its
    thinking where that is `opened`, else in its answer.
    """

    def __init__(self, *, opened: bool = False, begun: bool = False) -> None:
        self._at = _At.THINKING if opened else _At.ANSWER if begun else _At.START
        self._held = ""
        self._begun = begun

    def push(self, text: str) -> list[tuple[str, bool]]:
        """What is certain after `text`: stretches, each with whether it is thinking."""
        if self._at is _At.ANSWER and self._begun:  # all but the first tokens of a reply
            return [(text, False)] if text else []
        self._held += text
        return self._release(final=False)

    def finish(self) -> list[tuple[str, bool]]:
        """What was held back, when nothing more comes."""
        return self._release(final=True)

    def _release(self, *, final: bool) -> list[tuple[str, bool]]:
        out: list[tuple[str, bool]] = []
        if self._at is _At.START:
            head = self._held.lstrip()
            if head.startswith(OPEN):
                self._at, self._held = _At.THINKING, head[len(OPEN) :]
            elif final or not OPEN.startswith(head):
                self._at, self._begun = _At.ANSWER, True
        if self._at is _At.THINKING:
            before, closed, after = self._held.partition(CLOSE)
            if closed:
                self._emit(out, before, thinking=True)
                self._at, self._held, self._begun = _At.ANSWER, after, False
            else:
                keep = 0 if final else _overlap(self._held)
                cut = len(self._held) - keep
                self._emit(out, self._held[:cut], thinking=True)
                self._held = self._held[cut:]
        if self._at is _At.ANSWER:
            self._emit(out, self._held, thinking=False)
            self._held = ""
        return out

    def _emit(self, out: list[tuple[str, bool]], text: str, *, thinking: bool) -> None:
        """Add a stretch; the blank lines that templates put around the tags belong to neither side."""
        if not self._begun:
            text = text.lstrip("\n")
        if text:
            self._begun = True
            out.append((text, thinking))


def _overlap(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    return next((n for n in range(min(len(CLOSE) - 1, len(text)), 0, -1) if CLOSE.startswith(text[-n:])), 0)
