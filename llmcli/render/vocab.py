"""Entries of a vocabulary, each as soon as it is found: as aligned columns, tab-separated, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from llmcli.render.data import to_json, token_data
from llmcli.render.safe import safe_line
from llmcli.render.tokens import visible_piece
from llmcli.tokens.search import Entry

PIECE_WIDTH = 24
"""Cells of the column of pieces, where there is room; longer ones push the rest of their line."""
FEWEST_BYTES = 4
"""So many bytes go on a line at least; the column is left out where they don't."""


def as_columns(entries: Iterable[Entry], width: int) -> Iterator[str]:
    """Columns for a terminal, measured in its cells: those that `width` has room for."""
    from rich.cells import cell_len

    piece_width = max(8, min(PIECE_WIDTH, width - len(_front("", "", 0, "kind"))))
    with_score = width >= len(_front("", "", piece_width, "", ""))
    indent = len(_front("", "", piece_width, "", "")) + 2
    bytes_a_line = (width - indent + 1) // 3
    with_bytes = bytes_a_line >= FEWEST_BYTES
    head = _front("id", "piece", piece_width, "kind", "score" if with_score else None)
    yield head + ("  bytes\n" if with_bytes else "\n")
    for entry in entries:
        score = "" if entry.score is None else f"{entry.score:.4g}"
        shown = visible_piece(entry.piece)
        line = _front(entry.id, shown, piece_width, entry.kind, score if with_score else None)
        if with_bytes and entry.piece:
            rows = [entry.piece[at : at + bytes_a_line] for at in range(0, len(entry.piece), bytes_a_line)]
            pushed = cell_len(line) > indent - 2
            below = f"\n{' ' * indent}".join(row.hex(" ") for row in rows)
            line += (f"\n{' ' * indent}" if pushed and len(rows) > 1 else "  ") + below
        yield line.rstrip() + "\n"


def _front(token_id: object, shown: str, piece_width: int, kind: str, score: str | None = None) -> str:
    """A line without the bytes."""
    from rich.cells import cell_len

    padding = " " * max(0, piece_width - cell_len(shown))
    line = f"{token_id:>7}  {shown}{padding}  {kind:<12}"
    return line if score is None else f"{line}  {score:>10}"


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
