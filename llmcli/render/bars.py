"""Probabilities as pictures: bars, colours, marks, sparklines; and tables that fit the terminal's width."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.text import Text

BAR_WIDTH, NARROWEST_BAR = 24, 4
EIGHTHS = " ▏▎▍▌▋▊▉█"
GAP = 2
"""Cells between two columns of a table."""
JOINT = "\uf8ff"
"""Stands for a space at which no line may be broken: rich breaks them at Unicode's own, too."""
SPARKS = "▁▂▃▄▅▆▇█"
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"

STYLES = (
    (0.5, "black on green"),
    (0.1, "black on bright_green"),
    (0.01, "black on bright_yellow"),
    (0.001, "black on bright_magenta"),
    (0.0, "bold white on red"),
)
"""The lowest probability of each colour, and the colour."""


def bar(prob: float, width: int = BAR_WIDTH) -> str:
    """A bar of up to `width` cells, as exact as an eighth of a cell."""
    eighths = round(prob * width * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def percent(prob: float) -> str:
    """A probability in percent, with as many digits as a small one needs."""
    if prob == 0:
        return "0 %"
    return f"{prob:.2%}".replace("%", " %") if prob >= 0.0001 else f"{100 * prob:.1e} %"


def prob_style(prob: float | None) -> str:
    """The colour of a token of that probability; none where it has none."""
    if prob is None:
        return ""
    return next(style for lowest, style in STYLES if prob >= lowest or lowest == 0)


def prob_mark(prob: float | None) -> str:
    """What stands for the colour where there is none: the digit n says that prob is below 1 in 10 to the n.

    >>> prob_mark(0.5), prob_mark(0.02), prob_mark(0.0009)
    ('', '¹', '³')
    """
    if prob is None or prob >= 0.1:
        return ""
    return SUPERSCRIPTS[min(9, math.ceil(-math.log10(max(prob, 1e-300))) - 1)]


def legend(*, colors: bool) -> list[tuple[str, str]]:
    """What the colours or the marks mean, as stretches of text with their styles."""
    if not colors:
        return [("¹ below 10 %, ² below 1 %, ³ below 0.1 %, and so on", "")]
    words = ("from 50 %", "10 %", "1 %", "0.1 %", "less")
    stretches = [(f" {word} ", style) for word, (_lowest, style) in zip(words, STYLES, strict=True)]
    return [part for stretch in stretches for part in (stretch, (" ", ""))]


def sparkline(values: Sequence[float], width: int) -> str:
    """Values from 0 up as one line of at most `width` cells, each the mean of what it stands for.

    >>> sparkline([0, 1, 2, 7], 4)
    '▁▂▃█'
    """
    if not values or width < 1:
        return ""
    n = min(width, len(values))
    edges = [round(i * len(values) / n) for i in range(n + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    largest = max(*means, 1e-9) if len(means) > 1 else max(means[0], 1e-9)
    return "".join(SPARKS[min(7, int(mean / largest * 7 + 0.5))] for mean in means)


@dataclass(frozen=True)
class Bar:
    """A bar as wide as its column; in a table it gives way first."""

    prob: float
    style: str = "cyan"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(bar(self.prob, min(BAR_WIDTH, options.max_width)), self.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement(NARROWEST_BAR, BAR_WIDTH)


@dataclass(frozen=True)
class ByWidth:
    """What looks different in a narrow terminal: `build` is given the width in cells."""

    build: Callable[[int], RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.build(options.max_width)


@dataclass(frozen=True)
class Ragged:
    """A table without the blanks with which rich fills its lines up to their ends."""

    table: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for line in console.render_lines(self.table, options, pad=False):
            while line and not line[-1].text.strip(" "):
                line.pop()
            if line:
                text, style, control = line.pop()
                yield from [*line, Segment(text.rstrip(" "), style, control)]
            yield Segment.line()


@dataclass(frozen=True)
class Column:
    """A column of a table: left where it holds words, else right; `narrow` ones stay in a narrow terminal."""

    heading: str
    words: bool = False
    narrow: bool = True
    bar: bool = False


NARROW = 72
"""Below so many cells a table leaves out the columns that can be spared."""


def fitted_table(
    columns: Sequence[Column], rows: Iterable[Sequence[RenderableType]], *, narrow_below: int = NARROW
) -> ByWidth:
    """A table of `rows` that shows in a narrow terminal only the columns that say most."""
    kept_rows = list(rows)

    def build(width: int) -> RenderableType:
        from rich.table import Table

        shown = [i for i, column in enumerate(columns) if column.narrow or width >= narrow_below]
        bar_width = _bar_width(columns, shown, kept_rows, width)
        if bar_width < NARROWEST_BAR:
            shown = [i for i in shown if not columns[i].bar]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for i in shown:
            column = columns[i]
            if column.bar:
                table.add_column(column.heading, width=bar_width)
            elif column.words:
                table.add_column(column.heading, overflow="fold")
            else:
                table.add_column(column.heading, justify="right", no_wrap=True)
        for row in kept_rows:
            table.add_row(*(row[i] for i in shown))
        return Ragged(table)

    return ByWidth(build)


def _bar_width(
    columns: Sequence[Column], shown: Sequence[int], rows: Sequence[Sequence[RenderableType]], width: int
) -> int:
    """The cells that each bar may take where nothing else is to be broken."""
    from rich.cells import cell_len

    def widest(i: int) -> int:
        return max(cell_len(str(cell)) for cell in [columns[i].heading, *(row[i] for row in rows)])

    n_bars = sum(columns[i].bar for i in shown)
    taken = sum(widest(i) for i in shown if not columns[i].bar) + GAP * (len(shown) - 1)
    return min(BAR_WIDTH, (width - taken) // n_bars) if n_bars else BAR_WIDTH


@dataclass(frozen=True)
class Prose:
    """Words, broken where a line is full, but never between a number and its percent sign."""

    text: Text

    @classmethod
    def dim(cls, text: str) -> Prose:
        """A note."""
        from rich.text import Text

        return cls(Text(text, "dim"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        joined = self.text.copy()
        joined.plain = joined.plain.replace(" %", f"{JOINT}%")
        for line in joined.wrap(console, options.max_width):
            line.plain = line.plain.replace(JOINT, " ")
            yield line
