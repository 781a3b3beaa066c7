"""The distribution over the next token, as JSON and as a table with bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmcli.probs.distribution import Candidate
from llmcli.probs.next_token import Asked, AtTemperature, NextToken
from llmcli.render.bars import Bar, ByWidth, Column, Prose, fitted_table, percent
from llmcli.render.data import number, token_data
from llmcli.render.tokens import visible_piece
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

NAME_WIDTH, TEMP_WIDTH = 10, 10
"""Cells that a token, and a probability with the space around it, take in a table of temperatures."""


def next_token_data(report: NextToken, temps: Sequence[AtTemperature] = ()) -> dict[str, Any]:
    """The report for JSON; with temperatures, `temps` and each candidate's `temp_probs` in their order."""
    top = [candidate_data(candidate) for candidate in report.top]
    asked = [_asked_data(asked) for asked in report.asked]
    data: dict[str, Any] = {
        "n_prompt_tokens": report.n_prompt_tokens,
        "entropy_bits": report.entropy_bits,
        "n_90": report.n_90,
    }
    if temps:
        data["temps"] = [{"temp": at.temp, "entropy_bits": at.entropy_bits} for at in temps]
        for i, row in enumerate([*top, *asked]):
            row["temp_probs"] = [at.probs[i] for at in temps]
    return data | {"top": top, "asked": asked}


def next_token_table(report: NextToken, *, sampled: bool) -> RenderableType:
    """A row a candidate, the most probable first; `sampled` shows what the sampler chain makes of them."""
    from rich.console import Group
    from rich.text import Text

    columns = [
        Column("rank"),
        Column("id", narrow=False),
        Column("token", words=True),
        Column("logit", narrow=False),
        Column("logprob", narrow=False),
        Column("prob"),
        Column("", bar=True),
        Column("cumulative", narrow=False),
        *([Column("sampled")] if sampled else []),
    ]
    asked = _beside_top(report)
    rows: list[list[RenderableType]] = [
        [
            str(candidate.rank),
            str(candidate.id),
            Text(visible_piece(candidate.piece), "bold" if candidate.id in asked else ""),
            f"{candidate.logit:.3f}",
            f"{candidate.logprob:.3f}",
            percent(candidate.prob),
            Bar(candidate.prob),
            percent(candidate.cumulative),
            *([percent(candidate.sampled_prob)] if sampled else []),
        ]
        for candidate in [*report.top, *asked.values()]
    ]
    notes = [entropy_note(report)]
    if sampled:
        notes.append("sampled = after " + ", ".join(report.chain) if report.chain else "sampled = prob")
    notes += _asked_notes(report)
    return Group(fitted_table(columns, rows), Text(), *(Prose.dim(note) for note in notes))


def temps_table(report: NextToken, temps: Sequence[AtTemperature]) -> RenderableType:
    """A row a candidate, a column a temperature; the entropy at each below.

    Where the terminal is too narrow for all, tables of some stand one below the other.
    """
    from rich.console import Group
    from rich.text import Text

    def tables(width: int) -> RenderableType:
        at_once = max(1, (width - NAME_WIDTH) // TEMP_WIDTH)
        parts: list[RenderableType] = []
        for begin in range(0, len(temps), at_once):
            parts += [_temps_columns(report, temps, range(begin, min(begin + at_once, len(temps)))), Text()]
        return Group(*parts)

    notes = [
        "each column is the whole vocabulary's distribution at that temperature, before any other sampler"
    ]
    return Group(ByWidth(tables), *(Prose.dim(note) for note in notes + _asked_notes(report)))


def _temps_columns(report: NextToken, temps: Sequence[AtTemperature], which: range) -> RenderableType:
    """The table of some of the temperatures."""
    from rich.text import Text

    columns = [Column("rank", narrow=False), Column("id", narrow=False), Column("token", words=True)]
    for j in which:
        columns += [Column(f"T={temps[j].temp:g}"), Column("", bar=True, narrow=False)]
    asked = _beside_top(report)
    places = {c.id: i for i, c in enumerate([*report.top, *(a.candidate for a in report.asked)])}
    rows: list[list[RenderableType]] = []
    for candidate in [*report.top, *asked.values()]:
        shares: list[RenderableType] = []
        for j in which:
            prob = temps[j].probs[places[candidate.id]]
            shares += [percent(prob), Bar(prob)]
        name = Text(visible_piece(candidate.piece), "bold" if candidate.id in asked else "")
        rows.append([str(candidate.rank), str(candidate.id), name, *shares])
    entropies: list[RenderableType] = []
    for j in which:
        entropies += [f"{temps[j].entropy_bits:.2f}", ""]
    rows.append(["", "", Text("entropy, bits", "dim"), *entropies])
    return fitted_table(columns, rows, narrow_below=30 + 20 * len(which))


def candidate_data(candidate: Candidate) -> dict[str, Any]:
    """A candidate for JSON."""
    data = {key: value for key, value in asdict(candidate).items() if key != "piece"}
    data["logit"], data["logprob"] = number(candidate.logit), number(candidate.logprob)
    return {"rank": candidate.rank, **token_data(candidate.id, candidate.piece), **data}


def sampling_data(sampling: SamplingOptions) -> dict[str, Any]:
    """The options that shape the distribution, for JSON."""
    wanted = {k: v for k, v in asdict(sampling).items() if k not in ("predict", "stop", "seed")}
    return {
        key: value if isinstance(value, (int, float, str)) else _plain(value) for key, value in wanted.items()
    }


def entropy_note(report: NextToken) -> str:
    """The entropy in words, and how few tokens make up most of the probability."""
    make_up = "1 token makes" if report.n_90 == 1 else f"{report.n_90:,} tokens make"
    return f"entropy {report.entropy_bits:.2f} bits; {make_up} up 90 %"


def _beside_top(report: NextToken) -> dict[int, Candidate]:
    """The candidates that were asked for and are not among the top ones, each once, by their ids."""
    top = {candidate.id for candidate in report.top}
    asked = {asked.candidate.id: asked.candidate for asked in report.asked}
    return {token_id: candidate for token_id, candidate in asked.items() if token_id not in top}


def _asked_data(asked: Asked) -> dict[str, Any]:
    return {"asked_text": asked.text, "ids": list(asked.ids), **candidate_data(asked.candidate)}


def _plain(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, Sequence):
        return [[i, b if abs(b) != float("inf") else str(b)] for i, b in value]
    return str(value)


def _asked_notes(report: NextToken) -> list[str]:
    notes = []
    for asked in report.asked:
        if len(asked.ids) > 1:
            pairs = zip(asked.pieces, asked.ids, strict=True)
            spelled = " ".join(f"{visible_piece(piece)} ({i})" for piece, i in pairs)
            name = visible_piece(to_bytes(asked.text))
            notes.append(f"{name} is {len(asked.ids)} tokens: {spelled}; the first is shown")
    return notes


def rejoined_notice(text: str) -> str:
    """What to say of a text that would change the prompt's last token."""
    return (
        f"notice: behind this prompt {visible_piece(to_bytes(text))} would change the prompt's last token; "
        "it is taken as it is by itself"
    )
