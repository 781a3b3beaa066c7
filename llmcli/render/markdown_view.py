"""Markdown on a terminal while it is written: what is finished is drawn once, the last block is redrawn.

From text as it comes to what has to be written to the terminal. What it costs is bounded: the last block is
drawn again only when PATIENCE times as long has passed as all drawing took.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from llmcli.render.code import CodeHighlighter, Line
from llmcli.render.live import LiveLines
from llmcli.render.markdown import Block, BlockSplitter
from llmcli.render.markdown_style import draw_line, draw_markdown
from llmcli.render.safe import safe

if TYPE_CHECKING:
    from rich.console import Console

PATIENCE = 60
HIGHEST = 12
"""How many lines may be alive at most."""

SETTLING = 4
"""Of a block that is higher, so many lines at its end may still change."""

WIDEST_RULE = 60
DIM = Style(dim=True)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

OPEN_LINK = re.compile(r"\](\([^)]*)?$")
OPENING, CLOSING = re.compile(r"(?<!\w)_(?=\S)"), re.compile(r"(?<=\S)_(?!\w)")
"""Underscores that emphasize, unlike those within a name."""

Size = Callable[[], tuple[int, int]]


class MarkdownView:
    """Takes text, gives what to write; `size` is asked for the terminal's columns and rows."""

    def __init__(self, console: Console, size: Size, clock: Callable[[], float] = time.perf_counter) -> None:
        self._console, self._size, self._clock = console, size, clock
        self._live = LiveLines()
        self._splitter = BlockSplitter()
        self._code = CodeHighlighter("")
        self._last: Block | None = None
        self._has_gap = False
        self._kept: list[str] = []
        self._due = 0.0

    def push(self, text: str) -> str:
        """What to write after `text` was added."""
        began = self._clock()
        out = [self._finish(block) for block in self._splitter.push(safe(text))]
        if began >= self._due:
            out.append(self._show(self._splitter.shown))
        if any(out):
            ended = self._clock()
            self._due = max(self._due, began) + PATIENCE * (ended - began)
        return "".join(out)

    def end(self) -> str:
        """What to write when nothing more comes; the cursor is at the beginning of a line then."""
        out = [self._finish(block) for block in self._splitter.end()]
        if self._last and self._last.kind in ("opening", "code"):
            out.append(self._finish(Block("closing", "")))
        self._last, self._has_gap = None, False
        return "".join(out)

    def _finish(self, block: Block) -> str:
        """Draw a block for good."""
        if block.kind == "blank":
            self._has_gap = True
            return ""
        if block.kind == "opening":
            self._code = CodeHighlighter(block.language)
        columns, _rows = self._size()
        lines = [draw_line(self._console, self._code.line(block.text))] if block.kind == "code" else None
        shown = self._live.keep(self._unkept(self._gap(block) + (lines or self._drawn(block, columns))))
        self._last, self._kept = block, []
        self._has_gap = block.kind in ("text", "item", "table") and _ends_blank(block.text)
        return shown

    def _show(self, block: Block) -> str:
        """Draw the block that still grows, or as much of its end as may be alive."""
        if not block.text:
            return self._live.show([])
        columns, rows = self._size()
        if block.kind == "code":
            lines = [
                draw_line(self._console, line) for line in _folded(self._code.begun(block.text), columns)
            ]
        else:
            lines = self._drawn(Block(block.kind, _closed(block.text)), columns)
        lines = self._unkept(self._gap(block) + lines)
        limit = max(1, min(HIGHEST, rows - 1))
        out = ""
        if len(lines) > limit and block.kind in ("text", "item") and _is_settled(block.text):
            settled = lines[: -min(SETTLING, limit)]
            out, lines = self._live.keep(settled), lines[len(settled) :]
            self._kept += [_plain(line) for line in settled]
        return out + self._live.show(lines[-limit:])

    def _drawn(self, block: Block, columns: int) -> list[str]:
        if block.kind in ("opening", "closing"):
            name = f" {block.language} " if block.kind == "opening" and block.language else ""
            return [
                draw_line(self._console, [Segment(f"──{name}".ljust(min(columns, WIDEST_RULE), "─"), DIM)])
            ]
        return draw_markdown(self._console, block.text, columns)

    def _gap(self, block: Block) -> list[str]:
        """The blank line before a block, where there is one."""
        if self._last is None or (block.kind in ("code", "closing") and self._last.kind != "closing"):
            return []
        apart = {"heading", "table"} & {block.kind, self._last.kind}
        return [""] if self._has_gap or apart else []

    def _unkept(self, lines: list[str]) -> list[str]:
        """The lines of the growing block without those that were drawn for good.

        They look as they did then, unless the terminal's width has changed: then what was drawn is counted.
        """
        n = len(self._kept)
        if [_plain(line) for line in lines[:n]] == self._kept:
            return lines[n:]
        left = _n_visible(self._kept)
        for at, line in enumerate(lines):
            left -= _n_visible([_plain(line)])
            if left < 0:
                return lines[at:]
        return []


def _folded(line: Line, columns: int) -> Sequence[Line]:
    """A line of code in as many as the terminal makes of it."""
    length = Segment.get_line_length(line)
    return list(Segment.divide(line, [*range(columns, length, columns), length]))


def _closed(text: str) -> str:
    """A text cut anywhere, with the marks closed that are open in its last paragraph."""
    last = text.rpartition("\n\n")[2]
    if last.count("`") % 2:
        return text + "`" if last[-1] != "`" else text[:-1]
    core = last.rstrip("*_")
    if core.count("**") % 2 and not core.endswith(" "):
        return text[: len(text) - len(last) + len(core)] + "**"
    return text


def _is_settled(text: str) -> bool:
    """Whether no mark is open at the end, so that what follows changes no more than the last lines."""
    marks = text.count("`"), text.count("~"), text.count("**"), text.replace("**", "").count("*")
    pairs = not any(n % 2 for n in marks)
    links = text.count("[") <= text.count("]") and not OPEN_LINK.search(text)
    return pairs and links and len(OPENING.findall(text)) <= len(CLOSING.findall(text))


def _ends_blank(text: str) -> bool:
    return text.endswith("\n") and not text[:-1].rpartition("\n")[2].strip()


def _plain(line: str) -> str:
    return ESCAPES.sub("", line)


def _n_visible(lines: Sequence[str]) -> int:
    return sum(len("".join(line.split())) for line in lines)
