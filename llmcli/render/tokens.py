"""The tokens of a text, in the formats of `llmcli tokenize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from llmcli.render.bars import ByWidth, Ragged
from llmcli.render.data import to_json, token_data
from llmcli.render.safe import visible
from llmcli.tokens.offsets import Token, locate
from llmcli.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

STYLES = ("black on bright_cyan", "black on bright_yellow")
SPECIAL_STYLE = "black on bright_magenta"
NARROW_TABLE = 56
"""Cells below which the table of tokens leaves the bytes out."""
MARK = "|"
"""Stands between two pieces where there are no colours."""


@dataclass(frozen=True)
class Encoded:
    """A text and its ids."""

    tokenizer: Tokenizer
    text: bytes
    ids: Sequence[int]

    def tokens(self) -> list[Token]:
        """The tokens with their places in the text."""
        return locate(self.tokenizer, self.text, self.ids)


def as_ids(encoded: Encoded) -> str:
    """The ids, separated by a space: one line."""
    return " ".join(map(str, encoded.ids)) + "\n"


def as_list(encoded: Encoded) -> str:
    """The ids as Python and JSON write a list: one line."""
    return f"{list(encoded.ids)}\n"


def as_lines(encoded: Encoded) -> str:
    """An id a line."""
    return "".join(f"{token_id}\n" for token_id in encoded.ids)


def as_jsonl(encoded: Encoded) -> str:
    """Everything on one line of JSON; `json` is the same, indented."""
    return to_json(data(encoded))


def as_json(encoded: Encoded) -> str:
    """Everything there is to know, as JSON."""
    return to_json(data(encoded), indent=2)


PLAIN_FORMATS: dict[str, Callable[[Encoded], str]] = {
    "ids": as_ids,
    "list": as_list,
    "lines": as_lines,
    "json": as_json,
    "jsonl": as_jsonl,
}


def as_table(encoded: Encoded, owners: Sequence[str] = (), *, colors: bool = True) -> RenderableType:
    """The text in alternating colours, and below it a row a token; `owners` says what each belongs to.

    Without colours a mark stands between the pieces.
    """
    from rich.console import Group
    from rich.text import Text

    tokens = encoded.tokens()
    n_chars = len(encoded.text.decode("utf-8", "surrogateescape"))
    counts = ((len(tokens), "token"), (len(encoded.text), "byte"), (n_chars, "character"))
    summary = Text(", ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in counts), "dim")
    if not tokens:
        return summary
    rows = ByWidth(partial(_rows, tokens, owners))
    return Group(coloured(tokens, "" if colors else MARK), Text(), rows, Text(), summary)


def _rows(tokens: Sequence[Token], owners: Sequence[str], width: int) -> RenderableType:
    """A row a token; a narrow terminal has no room for the bytes."""
    from rich.table import Table
    from rich.text import Text

    with_bytes = width >= NARROW_TABLE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("index", "id"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("piece", overflow="fold", min_width=5)
    if with_bytes:
        table.add_column("bytes", overflow="fold", min_width=5)
    table.add_column("offsets", no_wrap=True)
    if owners:
        table.add_column("message", no_wrap=True)
    for token in tokens:
        table.add_row(
            str(token.index),
            str(token.id),
            Text(visible_piece(token.piece), _style(token)),
            *([token.piece.hex(" ")] if with_bytes else ()),
            f"{token.start}-{token.end}",
            *owners[token.index : token.index + 1],
        )
    return Ragged(table)


def coloured(tokens: Sequence[Token], mark: str = "") -> Text:
    """The pieces one after the other in alternating colours, with `mark` between those on one line."""
    from rich.text import Text

    text = Text(overflow="fold")
    for token in tokens:
        if mark and token.index and not text.plain.endswith("\n"):
            text.append(mark)
        shown = visible_piece(token.piece)
        text.append(shown, _style(token))
        if token.piece.endswith(b"\n"):
            text.append("\n")
    return text


def _style(token: Token) -> str:
    return SPECIAL_STYLE if token.special else STYLES[token.index % len(STYLES)]


def visible_piece(piece: bytes) -> str:
    """A piece on one line, with nothing in it invisible: `·` for a space, escapes for the rest.

    A piece that is only part of a character is shown as its bytes.
    """
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        text = piece.decode("utf-8", "surrogateescape")
    return visible(text).replace(" ", "·")


def data(encoded: Encoded) -> dict[str, Any]:
    """Everything there is to know, for JSON."""
    return {
        "model": encoded.tokenizer.name,
        "n_tokens": len(encoded.ids),
        "n_bytes": len(encoded.text),
        "n_chars": len(encoded.text.decode("utf-8", "surrogateescape")),
        "ids": list(encoded.ids),
        "tokens": [
            {
                "index": token.index,
                **token_data(token.id, token.piece),
                "start": token.start,
                "end": token.end,
                "char_start": token.char_start,
                "char_end": token.char_end,
                "special": token.special,
            }
            for token in encoded.tokens()
        ],
    }
