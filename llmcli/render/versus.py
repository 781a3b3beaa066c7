"""Two distributions against each other: as JSON, and as a table with a bar for either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmcli.probs.versus import Mover, Versus, VersusScore
from llmcli.render.bars import Bar, Column, Prose, fitted_table, percent
from llmcli.render.data import number, token_data
from llmcli.render.tokens import visible_piece

if TYPE_CHECKING:
    from rich.console import RenderableType


def versus_data(report: Versus) -> dict[str, Any]:
    """The comparison for JSON."""
    return {
        "kl_bits": number(report.kl_bits),
        "js_bits": report.js_bits,
        "same_top": report.same_top,
        "top": _mover_data(report.top),
        "versus_top": _mover_data(report.versus_top),
        "movers": [_mover_data(mover) for mover in report.movers],
    }


def versus_table(report: Versus, name: str, other: str) -> RenderableType:
    """The tokens that moved most, with their probability in `name` and in `other`."""
    from rich.console import Group
    from rich.text import Text

    columns = [
        Column("id", narrow=False),
        Column("token", words=True),
        Column("A"),
        Column("", bar=True, narrow=False),
        Column("B"),
        Column("", bar=True, narrow=False),
        Column("B - A"),
    ]
    rows: list[list[RenderableType]] = [
        [
            str(mover.id),
            Text(visible_piece(mover.piece)),
            percent(mover.prob),
            Bar(mover.prob),
            percent(mover.versus_prob),
            Bar(mover.versus_prob, "magenta"),
            f"{100 * (mover.versus_prob - mover.prob):+.2f} %",
        ]
        for mover in report.movers
    ]
    top = visible_piece(report.top.piece)
    same = f"same top token {top}" if report.same_top else _other_top(report)
    notes = [
        f"A = {name}   B = {other}",
        f"KL(A || B) {report.kl_bits:.4f} bits; JS {report.js_bits:.4f} bits; {same}",
    ]
    return Group(fitted_table(columns, rows), Text(), *(Prose.dim(note) for note in notes))


def versus_score_data(report: VersusScore) -> dict[str, Any]:
    """The comparison token by token for JSON; kl_bits and js_bits are means, same_top the share of tokens."""
    perplexity, versus_perplexity = report.perplexities
    return {
        "n_tokens": len(report.tokens),
        "kl_bits": number(report.mean("kl_bits")),
        "js_bits": report.mean("js_bits"),
        "same_top": report.mean("same_top"),
        "perplexity": number(perplexity),
        "versus_perplexity": number(versus_perplexity),
        "tokens": [
            {
                "index": token.index,
                **token_data(token.id, token.piece),
                "logprob": number(token.logprob),
                "versus_logprob": number(token.versus_logprob),
                **versus_data(token.versus),
            }
            for token in report.tokens
        ],
    }


def versus_score_table(report: VersusScore, name: str, other: str) -> RenderableType:
    """A row a token: its logprob under both, and how far apart the two were before it."""
    from rich.console import Group
    from rich.text import Text

    columns = [
        Column("index", narrow=False),
        Column("token", words=True),
        Column("A"),
        Column("B"),
        Column("KL, bits"),
        Column("JS, bits", narrow=False),
        Column("", bar=True, narrow=False),
        Column("most probable", words=True, narrow=False),
    ]
    rows: list[list[RenderableType]] = [
        [
            str(token.index),
            Text(visible_piece(token.piece)),
            f"{token.logprob:.3f}",
            f"{token.versus_logprob:.3f}",
            f"{token.versus.kl_bits:.4f}",
            f"{token.versus.js_bits:.4f}",
            Bar(token.versus.js_bits),
            Text(_tops(token.versus)),
        ]
        for token in report.tokens
    ]
    perplexity, versus_perplexity = report.perplexities
    notes = [
        f"A = {name}   B = {other}; A and B are logprobs, the bar is JS",
        f"mean KL(A || B) {report.mean('kl_bits'):.4f} bits; mean JS {report.mean('js_bits'):.4f} bits; "
        f"same top token in {percent(report.mean('same_top'))} of {len(report.tokens):,} places",
        f"perplexity A {perplexity:.3f}, B {versus_perplexity:.3f}",
    ]
    return Group(fitted_table(columns, rows), Text(), *(Prose.dim(note) for note in notes))


def _tops(report: Versus) -> str:
    top, other = visible_piece(report.top.piece), visible_piece(report.versus_top.piece)
    return top if report.same_top else f"{top} / {other}"


def _other_top(report: Versus) -> str:
    return f"A's top token is {visible_piece(report.top.piece)}, B's {visible_piece(report.versus_top.piece)}"


def _mover_data(mover: Mover) -> dict[str, Any]:
    return {**token_data(mover.id, mover.piece), "prob": mover.prob, "versus_prob": mover.versus_prob}
