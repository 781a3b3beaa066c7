"""Entries of a vocabulary, each as soon as it is found: as aligned columns, tab-separated, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from llmcli.render.data import to_json, token_data
from llmcli.render.safe import safe_line
from llmcli.render.tokens import visible_piece
from llmcli.tokens.search import Entry

PIECE_WIDTH = 24
"""Cells of the column of pieces; longer ones push the rest of their line."""


def as_columns(entries: Iterable[Entry]) -> Iterator[str]:
    """Columns for a terminal, measured in its cells."""
    from rich.cells import cell_len

    yield f"{'id':>7}  {'piece':<{PIECE_WIDTH}}  {'kind':<12}  {'score':>10}  bytes\n"
    for entry in entries:
        shown = visible_piece(entry.piece)
        padding = " " * max(0, PIECE_WIDTH - cell_len(shown))
        score = "" if entry.score is None else f"{entry.score:.4g}"
        yield f"{entry.id:>7}  {shown}{padding}  {entry.kind:<12}  {score:>10}  {entry.piece.hex(' ')}\n"


def as_tabs(entries: Iterable[Entry]) -> Iterator[str]:
    """A line an entry for other programs: id, piece, bytes in hex, kind, score (empty: none)."""
    for entry in entries:
        score = "" if entry.score is None else repr(entry.score)
        shown = safe_line(entry.piece.decode("utf-8", "surrogateescape"))
        yield f"{entry.id}\t{shown}\t{entry.piece.hex(' ')}\t{entry.kind}\t{score}\n"


def as_jsonl(entries: Iterable[Entry]) -> Iterator[str]:
    """An object a line."""
    return (to_json(_data(entry)) for entry in entries)


def as_json(entries: Iterable[Entry]) -> Iterator[str]:
    """One array."""
    yield to_json([_data(entry) for entry in entries], indent=2)


FORMATS: dict[str, Callable[[Iterable[Entry]], Iterator[str]]] = {
    "table": as_columns,
    "tsv": as_tabs,
    "json": as_json,
    "jsonl": as_jsonl,
}


def _data(entry: Entry) -> dict[str, object]:
    return {
        **token_data(entry.id, entry.piece),
        "spelling": entry.spelling,
        "kind": entry.kind,
        "score": entry.score,
    }
