"""Counts of tokens, as wc writes counts of words, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmcli.render.data import to_json
from llmcli.render.safe import safe_line


@dataclass(frozen=True)
class Count:
    """What was counted in one file; `path` is None for stdin."""

    path: str | None
    tokens: int
    bytes: int
    chars: int


def as_rows(counts: Sequence[Count], *, stats: bool, with_total: bool) -> str:
    """A row a file, the numbers right-aligned, and a total below them. `stats` adds columns and a head.

    >>> print(as_rows([Count("a", 7, 30, 30), Count("b", 12, 40, 40)], stats=False, with_total=True), end="")
     7 a
    12 b
    19 total
    """
    shown = [*counts, total(counts)] if with_total else list(counts)
    rows = [_numbers(one) if stats else [str(one.tokens)] for one in shown]
    if stats:
        rows.insert(0, ["tokens", "bytes", "chars", "bytes/token"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    names = [*([""] if stats else []), *(safe_line(one.path or "") for one in shown)]
    return "".join(
        f"{'  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))} {name}".rstrip()
        + "\n"
        for row, name in zip(rows, names, strict=True)
    )


def as_json(model: str, counts: Sequence[Count]) -> str:
    """The contract's JSON."""
    everything = total(counts)
    return to_json(
        {
            "model": model,
            "files": [
                {"path": one.path, "tokens": one.tokens, "bytes": one.bytes, "chars": one.chars}
                for one in counts
            ],
            "total": {
                "tokens": everything.tokens,
                "bytes": everything.bytes,
                "chars": everything.chars,
            },
        }
    )


def total(counts: Sequence[Count]) -> Count:
    """All counts added up."""
    return Count(
        "total",
        sum(one.tokens for one in counts),
        sum(one.bytes for one in counts),
        sum(one.chars for one in counts),
    )


def _numbers(one: Count) -> list[str]:
    each = f"{one.bytes / one.tokens:.2f}" if one.tokens else "-"
    return [str(one.tokens), str(one.bytes), str(one.chars), each]
