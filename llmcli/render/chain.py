"""The sampler chain, stage by stage: as JSON, and as a table in which probability moves to the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmcli.probs.chain import Chain, ChainStage, Survivor
from llmcli.render.bars import ByWidth, Prose, Ragged, percent
from llmcli.render.data import token_data
from llmcli.render.tokens import visible_piece

if TYPE_CHECKING:
    from rich.console import RenderableType

NAMED = 5
"""How many of the dropped tokens are named."""


def chain_data(report: Chain) -> dict[str, Any]:
    """The stages for JSON; `logits` is the model's own distribution before the first of them."""
    return {
        "n_prompt_tokens": report.n_prompt_tokens,
        "logits": _stage_data(report.raw),
        "stages": [_stage_data(stage) for stage in report.stages],
        "skipped": list(report.skipped),
    }


def chain_table(report: Chain) -> RenderableType:
    """A row a token, a column a stage; then what each sampler was set to, and whom it dropped."""
    from rich.console import Group
    from rich.text import Text

    notes = [_stage_note(stage) for stage in report.stages]
    if not report.stages:
        notes.append("no sampler does anything with these options: what is drawn from is prob itself")
    return Group(
        ByWidth(lambda width: _matrix(report, width)),
        Text(),
        *(Prose.dim(note) for note in notes),
    )


def _matrix(report: Chain, width: int) -> RenderableType:
    """The table; where the stages do not fit beside each other, in several tables below each other."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    every = [report.raw, *report.stages]
    at_once = max(1, (width - 12) // 13)
    tables: list[RenderableType] = []
    for begin in range(0, len(every), at_once):
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("token", overflow="fold")
        for stage in every[begin : begin + at_once]:
            table.add_column("prob" if stage is report.raw else stage.name, justify="right", no_wrap=True)
        for survivor, probs in report.rows:
            cells = [_cell(probs, i) for i in range(begin, min(begin + at_once, len(every)))]
            table.add_row(visible_piece(survivor.piece), *cells)
        kept = [f"{stage.kept:,}" for stage in every[begin : begin + at_once]]
        entropies = [f"{stage.entropy_bits:.2f}" for stage in every[begin : begin + at_once]]
        table.add_row(Text("kept", "dim"), *(Text(text, "dim") for text in kept))
        table.add_row(Text("bits", "dim"), *(Text(text, "dim") for text in entropies))
        tables += [Text(), Ragged(table)] if tables else [Ragged(table)]
    return Group(*tables)


def _cell(probs: Sequence[float], at: int) -> str:
    """A token's probability at a stage: `dropped` where it leaves, nothing after that."""
    if probs[at] > 0 or at == 0:
        return percent(probs[at])
    return "dropped" if probs[at - 1] > 0 else ""


def _stage_note(stage: ChainStage) -> str:
    settings = ", ".join(f"{name} {value:g}" for name, value in stage.params.items())
    head = f"{stage.name} ({settings})" if settings else stage.name
    if not stage.n_dropped:
        return f"{head} drops none"
    named = " ".join(visible_piece(token.piece) for token in stage.dropped[:NAMED])
    more = ", ..." if stage.n_dropped > NAMED else ""
    tokens = "1 token" if stage.n_dropped == 1 else f"{stage.n_dropped:,} tokens"
    return f"{head} drops {tokens} with {percent(stage.mass_dropped)}: {named}{more}"


def _stage_data(stage: ChainStage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "params": dict(stage.params),
        "kept": stage.kept,
        "entropy_bits": stage.entropy_bits,
        "candidates": [_survivor_data(token) for token in stage.candidates],
        "n_dropped": stage.n_dropped,
        "mass_dropped": stage.mass_dropped,
        "dropped": [_survivor_data(token) for token in stage.dropped],
    }


def _survivor_data(token: Survivor) -> dict[str, Any]:
    return {**token_data(token.id, token.piece), "prob": token.prob}
