"""The probabilities of a reply: the text in colours, a row a token, and the choices at one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.probs.score import Score, ScoredToken
from llmcli.render.bars import Bar, Column, fitted_table, legend, percent
from llmcli.render.score import coloured_text
from llmcli.render.tokens import visible_piece

if TYPE_CHECKING:
    from rich.console import RenderableType

BESIDE = 3
"""How many alternatives stand beside a token."""


def reply_table(report: Score, *, colors: bool) -> RenderableType:
    """The reply, each token in the colour of its probability, and a row a token with its alternatives."""
    from rich.console import Group
    from rich.text import Text

    columns = [
        Column("n"),
        Column("token", words=True),
        Column("prob"),
        Column("", bar=True, narrow=False),
        Column("instead", words=True),
    ]
    rows: list[list[RenderableType]] = []
    for number, token in enumerate(report.tokens, 1):
        others = [f"{visible_piece(o.piece)} {percent(o.prob)}" for o in token.top if o.id != token.id]
        prob = token.prob or 0.0
        name, beside = Text(visible_piece(token.piece)), Text("  ".join(others[:BESIDE]), "dim")
        rows.append([str(number), name, percent(prob), Bar(prob), beside])
    return Group(
        coloured_text(report, colors=colors),
        Text(),
        Text.assemble(*legend(colors=colors)),
        Text(),
        fitted_table(columns, rows),
    )


def alternatives_table(token: ScoredToken) -> RenderableType:
    """The most probable tokens at one place of a reply; an arrow points at the one that was chosen."""
    from rich.text import Text

    columns = [Column("rank"), Column("token", words=True), Column("prob"), Column("", bar=True), Column("")]
    rows: list[list[RenderableType]] = [
        [
            str(rank),
            Text(visible_piece(other.piece)),
            percent(other.prob),
            Bar(other.prob),
            "<- chosen" if other.id == token.id else "",
        ]
        for rank, other in enumerate(token.top, 1)
    ]
    if all(other.id != token.id for other in token.top):
        name, prob = Text(visible_piece(token.piece)), token.prob or 0.0
        rows.append([str(token.rank), name, percent(prob), Bar(prob), "<- chosen"])
    return fitted_table(columns, rows)
