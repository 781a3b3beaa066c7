"""A TOML text as lines: where each key stands, which Python's own parser does not tell.

Whether lines are a statement is asked of that parser itself, so that strings over several lines, comments and
quoted keys are what TOML says they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    import tomli as tomllib

Path = tuple[str, ...]
"""The names that lead to a value: `("sampling", "temp")`."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
POSITION = re.compile(r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), .*|end of document)\)$", re.DOTALL)


class TomlError(ValueError):
    """A text is no TOML: what is wrong, in which line (from 1)."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True)
class Statement:
    """Lines `first` up to, not including, `end` (from 0): a table's header, or keys with their values.

    `table` is the table it stands in (of a header: that it opens), `values` what it gives, by whole path.
    """

    first: int
    end: int
    table: Path
    is_header: bool
    values: Mapping[Path, Any]


def parse(text: str) -> dict[str, Any]:
    """What the text says. Raises TomlError."""
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(*_explained(text, str(error))) from None
    except RecursionError:
        raise TomlError("nested too deeply", 1) from None
    except ValueError as error:  # a number of thousands of digits
        raise TomlError(str(error), 1) from None
    return found


def spelled(value: Any) -> str:
    """A value as a file writes it.

    >>> spelled(["a", 1, True])
    '["a", 1, true]'
    """
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is one of TOML, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def spelled_key(name: str) -> str:
    """The name of a key as a file writes it: in quotes where it has to be.

    >>> spelled_key("ctx-size"), spelled_key("llama3.2:1b")
    ('ctx-size', '"llama3.2:1b"')
    """
    return name if _BARE.fullmatch(name) else spelled(name)


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text that `parse` takes, in order."""
    lines = text.split("\n")
    table: Path = ()
    first = 0
    while first < len(lines):
        end = first + 1
        while (found := _loaded(lines[first:end])) is None and end < len(lines):
            end += 1
        if found:
            is_header = lines[first].lstrip().startswith("[")
            leaves = dict(_leaves(found, ()))
            if is_header:
                table = next(iter(leaves))
            values = {} if is_header else {(*table, *path): value for path, value in leaves.items()}
            yield Statement(first, end, table, is_header, values)
        first = end


def line_of(text: str, path: Path) -> int:
    """The line (from 1) in which a value or a table begins; 1 where it is not found."""
    for statement in statements(text):
        paths = [statement.table] if statement.is_header else list(statement.values)
        if any(found[: len(path)] == path for found in paths):
            return statement.first + 1
    return 1


def _loaded(lines: list[str]) -> dict[str, Any] | None:
    """What some lines say by themselves; None where they are no whole statement."""
    try:
        found: dict[str, Any] = tomllib.loads("\n".join(lines) + "\n")
    except ValueError:
        return None
    return found


def _leaves(table: Mapping[str, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    """Every value with its path; an empty table counts as one."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _explained(text: str, message: str) -> tuple[str, int]:
    """The parser's words without the position, and the line they are about."""
    match = POSITION.match(message)
    what = match["what"] if match else message
    if match and match["line"]:
        return what, int(match["line"])
    # At the end of the document it may be about any line: the first that makes the parser say so.
    lines = text.split("\n")
    for count in range(1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[:count]) + "\n")
        except ValueError as error:
            if str(error).startswith(what):
                return what, count
    return what, len(lines)
