"""Code in colours, line by line as it is written."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

THEME = "ansi_dark"
"""The terminal's own colours, on its own background."""

LONG = 500
"""From so many characters on, a place is looked for at which reading the code may begin anew."""

LONG_ONES = (("/*", "*/"), ('"""', '"""'), ("'''", "'''"), ("<!--", "-->"))
"""How strings and comments of several lines begin and end."""

Line = list[Segment]


class CodeHighlighter:
    """Colours each line by the code before it, as far as that is needed.

    To read all of it again for each line would cost more with each. So it is read from a line on which looks
    the same when it stands alone: no string and no comment reaches over its beginning.
    """

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._before = ""

    def line(self, line: str) -> Line:
        """The next line of the code, in colours."""
        line = line.rstrip("\n") + "\n"
        coloured = self.begun(line)
        self._before += line
        if len(self._before) > LONG and self._stands_alone(line, coloured):
            self._before = line
        return coloured

    def begun(self, line: str) -> Line:
        """The same of a line that is not whole yet."""
        if self._lexer is None:
            return [Segment(line.rstrip("\n"))]
        return _coloured(self._lexer, self._before + line)[self._before.count("\n")]

    def _stands_alone(self, line: str, coloured: Line) -> bool:
        """Whether a line looks as it does without anything before it, and leaves nothing open."""
        if self._lexer is None or not line.strip() or _missing(line):
            return self._lexer is None
        return coloured == _coloured(self._lexer, line)[0]


def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


def _coloured(lexer: Lexer, code: str) -> list[Line]:
    """The lines of a piece of code, without their ends."""
    lines: list[Line] = [[]]
    for kind, text in lexer.get_tokens(code + _missing(code)):
        first, *others = text.split("\n")
        if first:
            lines[-1].append(Segment(first, _style(kind)))
        lines += [[Segment(part, _style(kind))] if part else [] for part in others]
    return lines


def _missing(code: str) -> str:
    """What closes a comment or string at the end of `code`: many lexers know only whole ones."""
    for begin, end in LONG_ONES:
        is_open = code.count(begin) % 2 == 1 if begin == end else code.rfind(begin) > code.rfind(end)
        if is_open:
            return "\n" + end
    return ""


@lru_cache(maxsize=256)
def _style(kind: _TokenType) -> Style:
    return Syntax.get_theme(THEME).get_style_for_token(kind)
