"""Several tokenizers beside each other, and a vocabulary against its reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from llmcli.render.bars import Column, Ragged, fitted_table
from llmcli.render.data import to_json, token_data
from llmcli.render.safe import safe_line
from llmcli.render.tokens import visible_piece
from llmcli.tokens.compare import Comparison
from llmcli.tokens.verify import Difference

if TYPE_CHECKING:
    from rich.console import RenderableType


def comparison_as_json(comparison: Comparison) -> str:
    """Columns and segments as one JSON object; a segment's tokens stand in the order of the columns."""
    data = {
        "n_bytes": comparison.n_bytes,
        "n_chars": comparison.n_chars,
        "tokenizers": [asdict(column) for column in comparison.columns],
        "segments": [
            {
                "start": segment.start,
                "end": segment.end,
                "text": segment.text.decode("utf-8", "replace"),
                "differs": segment.differs,
                "tokens": [
                    [{**token_data(t.id, t.piece), "start": t.start, "end": t.end} for t in tokens]
                    for tokens in segment.tokens
                ],
            }
            for segment in comparison.segments
        ],
    }
    return to_json(data, indent=2)


def comparison_as_table(comparison: Comparison) -> RenderableType:
    """A row a tokenizer; below, a row for each place where they cut differently."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = (
        Column(""),
        Column("tokenizer", words=True),
        Column("tokens"),
        Column("bytes/token"),
        Column("tokens/char", narrow=False),
        Column("vocabulary", narrow=False),
    )
    rows = (
        (
            str(number),
            safe_line(column.name),
            f"{column.n_tokens:,}",
            f"{column.bytes_per_token:.2f}",
            f"{column.tokens_per_char:.3f}",
            f"{column.vocabulary_size:,}",
        )
        for number, column in enumerate(comparison.columns, 1)
    )
    figures = fitted_table(columns, rows, narrow_below=64)
    cut = [segment for segment in comparison.segments if segment.differs]
    if not cut:
        return Group(figures, Text(), Text("They cut the text in the same places.", "dim"))
    places = Table(box=None, pad_edge=False, header_style="bold")
    places.add_column("bytes", no_wrap=True, justify="right")
    for number in range(1, len(comparison.columns) + 1):
        places.add_column(str(number), overflow="fold")
    for segment in cut:
        pieces = (
            " | ".join(visible_piece(token.piece) for token in tokens) or "(dropped)"
            for tokens in segment.tokens
        )
        places.add_row(f"{segment.start}-{segment.end}", *pieces)
    return Group(figures, Text(), Text("Where they cut differently:"), Ragged(places))


def differences_as_json(model: str, reference: str, differences: Sequence[Difference]) -> str:
    """The verdict as one JSON object."""
    return to_json(
        {
            "model": model,
            "reference": reference,
            "same": not differences,
            "differences": [asdict(difference) for difference in differences],
        },
        indent=2,
    )


def differences_as_text(
    model: str, reference: str, differences: Sequence[Difference]
) -> Iterator[RenderableType]:
    """A line a difference, and its example below it, indented."""
    from rich.padding import Padding
    from rich.text import Text

    if not differences:
        same = f"{safe_line(model)} is {safe_line(reference)}: size, ids, special tokens, settings, encoding"
        yield Text(same, overflow="fold")
    for difference in differences:
        yield Text(f"{difference.what}: {safe_line(difference.message)}", overflow="fold")
        if difference.example:
            yield Padding(Text(safe_line(difference.example), overflow="fold"), (0, 0, 0, 4), expand=False)
