"""A scored text: as JSON, as coloured text, and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmcli.probs.score import Alternative, Score, ScoredToken
from llmcli.render.bars import (
    Bar,
    ByWidth,
    Column,
    Prose,
    fitted_table,
    legend,
    percent,
    prob_mark,
    prob_style,
    sparkline,
)
from llmcli.render.data import number, token_data
from llmcli.render.safe import safe
from llmcli.render.tokens import visible_piece

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WIDEST_SPARKLINE = 72


def score_data(report: Score) -> dict[str, Any]:
    """The score for JSON."""
    return {
        "n_prompt_tokens": report.n_prompt_tokens,
        "n_tokens": len(report.tokens),
        "n_scored": report.n_scored,
        "n_bytes": report.n_bytes,
        "n_windows": report.n_windows,
        "sum_logprob": number(report.sum_logprob),
        "perplexity": number(report.perplexity),
        "bits_per_byte": number(report.bits_per_byte),
        "tokens": [
            {
                "index": token.index,
                **token_data(token.id, token.piece),
                "logprob": number(token.logprob),
                "prob": token.prob,
                "rank": token.rank,
                "entropy_bits": token.entropy_bits,
                "top": [_alternative_data(alternative) for alternative in token.top],
            }
            for token in report.tokens
        ],
    }


def score_table(report: Score, *, colors: bool) -> RenderableType:
    """The text coloured by probability, the entropy as a line, a row a token, and the sums."""
    from rich.console import Group
    from rich.text import Text

    columns = [
        Column("index", narrow=False),
        Column("id", narrow=False),
        Column("token", words=True),
        Column("logprob"),
        Column("prob"),
        Column("", bar=True, narrow=False),
        Column("rank"),
        Column("bits", narrow=False),
        Column("most probable", words=True, narrow=False),
    ]
    return Group(
        coloured_text(report, colors=colors),
        Text(),
        Prose(Text.assemble(*legend(colors=colors))),
        Text(),
        ByWidth(lambda width: _entropy_line(report, width)),
        Text(),
        fitted_table(columns, [_row(token) for token in report.tokens]),
        Text(),
        Prose.dim(summary(report)),
    )


def coloured_text(report: Score, *, colors: bool) -> Text:
    """The text, each token in the colour of its probability, or with a mark behind it."""
    from rich.text import Text

    view = Text()
    pieces, styles = joined_text(report), [prob_style(token.prob) for token in report.tokens]
    for token, piece, style in zip(report.tokens, pieces, styles, strict=True):
        view.append(safe(piece), style if colors else "")
        if not colors:
            view.append(prob_mark(token.prob))
    return view


def summary(report: Score) -> str:
    """The sums in a line."""
    bits = report.bits_per_byte
    per_byte = f"; {bits:.3f} bits per byte" if bits is not None else ""
    read = f", read in {report.n_windows} windows that overlap by half" if report.n_windows > 1 else ""
    of = "" if report.is_whole else f" before an interrupt, of {report.n_prompt_tokens:,}"
    return (
        f"{report.n_scored:,} tokens scored{of}{read}; sum of logprobs {report.sum_logprob:.3f}; "
        f"perplexity {report.perplexity:.3f}{per_byte}"
    )


def joined_text(report: Score) -> list[str]:
    """Each token's part of the text: a character of several tokens is shown where its last one ends.

    Bytes that never make up a character come as surrogates, which are shown as their escapes.
    """
    parts = []
    held = b""
    for token in report.tokens:
        held += token.piece
        text, held = _complete(held)
        parts.append(text)
    if parts:
        parts[-1] += held.decode("utf-8", "surrogateescape")
    return parts


def _complete(data: bytes) -> tuple[str, bytes]:
    """What of the bytes can be read now, and the beginning of a character at their end."""
    for back in range(1, min(3, len(data)) + 1):
        lead = data[-back]
        if lead >= 0xC0:
            needed = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            if back < needed:
                return data[:-back].decode("utf-8", "surrogateescape"), data[-back:]
            break
        if lead < 0x80:
            break
    return data.decode("utf-8", "surrogateescape"), b""


def _entropy_line(report: Score, width: int) -> Text:
    from rich.text import Text

    values = [token.entropy_bits for token in report.tokens if token.entropy_bits is not None]
    label = f" 0-{max(values):.1f} bits"
    line = Text("entropy ", "dim")
    line.append(sparkline(values, min(WIDEST_SPARKLINE, width - len(label) - 8)), "cyan")
    return line.append(label, "dim")


def _row(token: ScoredToken) -> list[RenderableType]:
    from rich.text import Text

    name = Text(visible_piece(token.piece))
    if token.logprob is None or token.prob is None or token.entropy_bits is None:
        return [str(token.index), str(token.id), name, "", "", "", "", "", ""]
    best = token.top[0] if token.top else None
    return [
        str(token.index),
        str(token.id),
        name,
        f"{token.logprob:.3f}",
        percent(token.prob),
        Bar(token.prob),
        str(token.rank),
        f"{token.entropy_bits:.2f}",
        Text(f"{visible_piece(best.piece)} {percent(best.prob)}" if best and token.rank != 1 else "", "dim"),
    ]


def _alternative_data(token: Alternative) -> dict[str, Any]:
    return {**token_data(token.id, token.piece), "logprob": number(token.logprob), "prob": token.prob}
