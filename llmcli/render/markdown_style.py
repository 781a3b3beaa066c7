"""A block of Markdown as lines for a terminal.

The text is made safe before it is read and after: an entity may stand for what drives a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.segment import Segment
from rich.syntax import Syntax
from rich.theme import Theme

from llmcli.render.code import THEME
from llmcli.render.safe import safe

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

STYLES = Theme(
    {
        "markdown.code": "cyan",
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.h4": "bold",
        "markdown.h5": "bold",
        "markdown.h6": "bold",
        "markdown.hr": "dim",
        "markdown.item.bullet": "bold",
        "markdown.item.number": "bold",
        "markdown.block_quote": "dim",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
        "markdown.link": "underline",
        "markdown.link_url": "dim",
    }
)
LEFT_RAW = ("html_block", "html_inline", "image", "autolink", "reference")
"""Rules of Markdown that would hide what was written; without them it is shown as it is."""


def draw_markdown(console: Console, text: str, width: int) -> list[str]:
    """A block of Markdown as lines of at most `width` cells, without blank ones around them."""
    options = console.options.update(width=width)
    with console.use_theme(STYLES):
        lines = console.render_lines(_Drawing(safe(text)), options, pad=False)
    drawn = [draw_line(console, line) for line in lines]
    while drawn and not drawn[-1]:
        drawn.pop()
    while drawn and not drawn[0]:
        drawn.pop(0)
    return drawn


def draw_line(console: Console, segments: Sequence[Segment]) -> str:
    """A line of coloured text with escape sequences; blanks at its end are left out."""
    kept = list(Segment.remove_color(segments) if console.no_color else segments)
    system = COLOR_SYSTEMS.get(console.color_system or "", ColorSystem.STANDARD)
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
    parts = []
    for text, style, control in kept:
        if not control:
            shown = safe(text)
            parts.append(style.render(shown, color_system=system) if style else shown)
    return "".join(parts)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt().enable(["strikethrough", "table"]).disable(LEFT_RAW)


class _Heading(Heading):
    """A heading at the left, as the text below it."""

    LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _Code(CodeBlock):
    """Code within a list, without a frame."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(str(self.text).rstrip(), self.lexer_name, theme=THEME, word_wrap=True)


class _Drawing(Markdown):
    """Markdown as rich draws it, but for a few elements."""

    elements = Markdown.elements | {"heading_open": _Heading, "fence": _Code, "code_block": _Code}

    def __init__(self, markup: str) -> None:
        super().__init__("", code_theme=THEME, hyperlinks=False)
        self.markup = markup
        self.parsed = _parser().parse(markup)
