"""Streamed Markdown in blocks: what is finished, and what is still growing.

A reply comes token by token, and a terminal can't take back what has scrolled away. So a block is drawn for
good as soon as nothing that follows can change it: a paragraph at the blank line behind it, an item of a list
when the next one begins, code line by line. Only the last block is alive. Blocks are whole lines of the text,
and cut nothing: joined with what is alive they are the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "table", "item", "heading", "opening", "code", "closing", "blank"]
"""`opening`, `code` and `closing` are the lines of a fenced block of code; `blank` stands between blocks."""

FENCE = re.compile(r"( {0,3})(`{3,}|~{3,})[ \t]*([^`\n]*)\n?$")
HEADING = re.compile(r" {0,3}#{1,6}([ \t]|\n|$)")
UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*\n?$")
RULE = re.compile(r" {0,3}([-*_])[ \t]*(\1[ \t]*){2,}\n?$")
ITEM = re.compile(r"( {0,3}(?:[-*+]|(\d{1,9})[.)]))([ \t]+|\n|$)")
QUOTE = re.compile(r" {0,3}>")
DELIMITERS = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\n?$")
MARKER = re.compile(r"[ \t]*(`{1,3}[^`\n]*|~+.*|#+|[-*+_=]+|\d+[.)]?|\|.*|>)[ \t]*$")
"""A line begun that may still become the mark of a block, and should not be shown as text."""


@dataclass(frozen=True)
class Block:
    """Whole lines of the text that are drawn together; `language` is that of a block of code."""

    kind: Kind
    text: str
    language: str = ""


class BlockSplitter:
    """Takes text as it comes, and gives each block as soon as it is finished.

    >>> splitter = BlockSplitter()
    >>> splitter.push("# Ti"), splitter.push("tle\\nSome wo")
    ([], [Block(kind='heading', text='# Title\\n', language='')])
    >>> splitter.alive, splitter.end()
    (Block(kind='text', text='Some wo', language=''), [Block(kind='text', text='Some wo', language='')])
    """

    def __init__(self) -> None:
        self._kind: Kind = "text"
        self._lines: list[str] = []
        self._begun = ""
        self._fence = ""
        self._language = ""
        self._inner_fence = ""
        self._indent = 0
        self._done: list[Block] = []

    @property
    def alive(self) -> Block:
        """The block that still grows, with the line begun; empty text where there is none."""
        if self._fence:
            return Block("code", self._begun, self._language)
        return Block(self._kind, "".join(self._lines) + self._begun)

    @property
    def shown(self) -> Block:
        """The same without what may still turn out to be the mark of a block, and no text."""
        alive = self.alive
        if self._fence:
            return Block("code", "" if _closes(alive.text, self._fence[:1]) else alive.text, alive.language)
        may_be_mark = MARKER.match(self._begun) and self._kind != "table" and not self._inner_fence
        text = alive.text[: len(alive.text) - len(self._begun)] if may_be_mark else alive.text
        if alive.kind == "text" and len(self._lines) == 1 and text.lstrip().startswith("|"):
            text = ""  # the head of a table, most likely
        return Block(alive.kind, text)

    def push(self, text: str) -> list[Block]:
        """The blocks that `text` finishes."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._take(line + "\n")
        return self._finished()

    def end(self) -> list[Block]:
        """The blocks that are left when nothing more comes."""
        if self._begun:
            line, self._begun = self._begun, ""
            self._take(line)
        self._close()
        self._fence = self._inner_fence = ""
        return self._finished()

    def _finished(self) -> list[Block]:
        done, self._done = self._done, []
        return done

    def _take(self, line: str) -> None:
        """Sort in one line."""
        if self._inner_fence and line.strip() and _indent(line) < self._indent:
            self._inner_fence = ""  # the item ends here, and the code in it
        if self._fence:
            if _closes(line, self._fence):
                self._done.append(Block("closing", line, self._language))
                self._fence = ""
            else:
                self._done.append(Block("code", line, self._language))
        elif self._inner_fence:
            self._lines.append(line)
            if _closes(line, self._inner_fence):
                self._inner_fence = ""
        elif not line.strip():
            self._take_blank(line)
        elif self._lines and self._is_inside(line):
            self._add(line)
        else:
            self._begin(line)

    def _take_blank(self, line: str) -> None:
        if not self._lines:
            self._done.append(Block("blank", line))
            return
        self._lines.append(line)
        if self._kind != "item":
            self._close()

    def _is_inside(self, line: str) -> bool:
        """Whether a line that is not blank belongs to the block that is open."""
        if self._kind == "item":
            may_be_lazy = self._lines[-1].strip() and not _begins_block(line)
            return _indent(line) >= self._indent or bool(may_be_lazy)
        if self._kind == "table" or not _begins_block(line):
            return not _begins_block(line)
        if QUOTE.match(self._lines[0]):
            return bool(QUOTE.match(line))
        item = ITEM.match(line)
        # In mid-paragraph, only a 1 begins a numbered list.
        return bool(UNDERLINE.match(line) or (item and item[2] and int(item[2]) != 1))

    def _add(self, line: str) -> None:
        """Put a line to the block that is open; it may make it another kind of block."""
        if self._kind == "item":
            if fence := FENCE.match(line[min(self._indent, _indent(line)) :]):
                self._inner_fence = fence[2]
        elif self._kind == "text" and not QUOTE.match(self._lines[0]):
            if _is_table(self._lines[-1], line):
                head = self._lines.pop()
                self._close()
                self._kind, self._lines = "table", [head]
            elif UNDERLINE.match(line):
                self._lines.append(line)
                self._close()
                return
        self._lines.append(line)

    def _begin(self, line: str) -> None:
        """Close what is open, and begin a block with `line`."""
        self._close()
        if fence := FENCE.match(line):
            words = fence[3].split()
            self._fence, self._language = fence[2], words[0].strip("{}.") if words else ""
            self._done.append(Block("opening", line, self._language))
        elif HEADING.match(line):
            self._done.append(Block("heading", line))
        elif RULE.match(line):
            self._done.append(Block("text", line))
        else:
            self._lines = [line]
            if item := ITEM.match(line):
                n_blanks = len(item[3].expandtabs(4).rstrip("\n"))
                self._kind = "item"
                self._indent = len(item[1]) + (n_blanks if 1 <= n_blanks <= 4 else 1)
                if fence := FENCE.match(line[item.end() :]):
                    self._inner_fence = fence[2]

    def _close(self) -> None:
        """Finish the block that is open."""
        if self._lines:
            self._done.append(Block(self._kind, "".join(self._lines)))
        self._lines, self._kind, self._indent, self._inner_fence = [], "text", 0, ""


def _begins_block(line: str) -> bool:
    return any(mark.match(line) for mark in (FENCE, HEADING, RULE, ITEM, QUOTE))


def _is_table(head: str, delimiters: str) -> bool:
    """Whether two lines are the head of a table."""
    is_row = "|" in head and DELIMITERS.match(delimiters) is not None
    return is_row and _n_cells(head) == _n_cells(delimiters)


def _n_cells(row: str) -> int:
    return row.strip().strip("|").replace("\\|", "").count("|") + 1


def _closes(line: str, fence: str) -> bool:
    """Whether a line ends the code that `fence` began."""
    mark = line.strip()
    return mark.startswith(fence) and not mark.strip(fence[0])


def _indent(line: str) -> int:
    """The width of the white space that a line begins with."""
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())
