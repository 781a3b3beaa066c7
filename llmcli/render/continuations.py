"""Continuations against each other: as JSON, and as a table with their shares as bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmcli.probs.continuations import Continuations
from llmcli.render.bars import Bar, Column, Prose, fitted_table, percent
from llmcli.render.data import number, token_data
from llmcli.render.tokens import visible_piece
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType


def continuations_data(report: Continuations) -> dict[str, Any]:
    """The continuations for JSON, in the order in which they were asked for."""
    return {
        "n_prompt_tokens": report.n_prompt_tokens,
        "continuations": [
            {
                "text": found.text,
                "n_tokens": len(found.ids),
                "sum_logprob": number(found.sum_logprob),
                "mean_logprob": number(found.mean_logprob),
                "prob": math.exp(found.sum_logprob),
                "share": found.share,
                "tokens": [
                    {**token_data(token_id, piece), "logprob": number(logprob), "prob": math.exp(logprob)}
                    for token_id, piece, logprob in zip(found.ids, found.pieces, found.logprobs, strict=True)
                ],
            }
            for found in report.continuations
        ],
    }


def continuations_table(report: Continuations) -> RenderableType:
    """A row a continuation, the most probable first, and below it each one's tokens."""
    from rich.console import Group
    from rich.text import Text

    columns = [
        Column("continuation", words=True),
        Column("tokens", narrow=False),
        Column("sum", narrow=False),
        Column("mean"),
        Column("prob", narrow=False),
        Column("share"),
        Column("", bar=True),
    ]
    best_first = sorted(report.continuations, key=lambda found: -found.sum_logprob)
    rows: list[list[RenderableType]] = [
        [
            Text(visible_piece(to_bytes(found.text))),
            str(len(found.ids)),
            f"{found.sum_logprob:.3f}",
            f"{found.mean_logprob:.3f}",
            percent(math.exp(found.sum_logprob)),
            percent(found.share),
            Bar(found.share),
        ]
        for found in best_first
    ]
    spelled = [
        " ".join(
            f"{visible_piece(piece)} {percent(math.exp(logprob))}"
            for piece, logprob in zip(found.pieces, found.logprobs, strict=True)
        )
        for found in best_first
    ]
    note = "sum and mean are of natural logprobs; share is each one's part of the probability of all of them"
    return Group(
        fitted_table(columns, rows), Text(), *(Prose(Text(line)) for line in spelled), Text(), Prose.dim(note)
    )
