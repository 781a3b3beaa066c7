"""The distribution over the next token, as JSON and as a table with bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from llmcli.probs.distribution import Candidate
from llmcli.probs.next_token import Asked, NextToken
from llmcli.render.data import to_json, token_data
from llmcli.render.tokens import visible_piece
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR_WIDTH = 24
EIGHTHS = " ▏▎▍▌▋▊▉█"


def as_json(report: NextToken, model: str, prompt: bytes, sampling: SamplingOptions) -> str:
    """The report as one JSON object."""
    data = {
        "model": model,
        "prompt": prompt.decode("utf-8", "replace"),
        "n_prompt_tokens": report.n_prompt_tokens,
        "entropy_bits": report.entropy_bits,
        "n_90": report.n_90,
        "sampling": _sampling_data(sampling),
        "top": [_candidate_data(candidate) for candidate in report.top],
        "asked": [_asked_data(asked) for asked in report.asked],
    }
    return to_json(data, indent=2)


def as_table(report: NextToken, pieces: Mapping[int, bytes], *, sampled: bool) -> RenderableType:
    """A row a candidate, the most probable first; `sampled` shows what the sampler chain makes of them.

    `pieces` are those of the asked texts' tokens, for texts of several tokens.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("rank", "id"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("token", overflow="fold")
    for heading in ("logit", "logprob", "prob"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=BAR_WIDTH)
    table.add_column("cumulative", justify="right", no_wrap=True)
    if sampled:
        table.add_column("sampled", justify="right", no_wrap=True)
    asked = [a.candidate for a in report.asked if a.candidate not in report.top]
    for candidate in [*report.top, *asked]:
        cells: list[RenderableType] = [
            str(candidate.rank),
            str(candidate.id),
            Text(visible_piece(candidate.piece), "bold" if candidate in asked else ""),
            f"{candidate.logit:.3f}",
            f"{candidate.logprob:.3f}",
            percent(candidate.prob),
            Text(bar(candidate.prob), "cyan"),
            percent(candidate.cumulative),
        ]
        table.add_row(*cells, *([percent(candidate.sampled_prob)] if sampled else []))
    make_up = "1 token makes" if report.n_90 == 1 else f"{report.n_90:,} tokens make"
    notes = [f"entropy {report.entropy_bits:.2f} bits; {make_up} up 90 %"]
    if sampled:
        notes.append("sampled = after " + ", ".join(report.chain))
    notes += [note for a in report.asked for note in _asked_notes(a, pieces)]
    return Group(table, Text(), *(Text(note, "dim") for note in notes))


def bar(prob: float, width: int = BAR_WIDTH) -> str:
    """A bar of up to `width` cells, as exact as an eighth of a cell."""
    eighths = round(prob * width * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def percent(prob: float) -> str:
    """A probability in percent, with as many digits as a small one needs."""
    if prob == 0:
        return "0 %"
    return f"{prob:.2%}".replace("%", " %") if prob >= 0.0001 else f"{100 * prob:.1e} %"


def _candidate_data(candidate: Candidate) -> dict[str, object]:
    data = asdict(candidate)
    del data["piece"]
    return {"rank": candidate.rank, **token_data(candidate.id, candidate.piece), **data}


def _asked_data(asked: Asked) -> dict[str, object]:
    return {"asked_text": asked.text, "ids": list(asked.ids), **_candidate_data(asked.candidate)}


def _sampling_data(sampling: SamplingOptions) -> dict[str, object]:
    wanted = {k: v for k, v in asdict(sampling).items() if k not in ("predict", "stop", "seed")}
    return {
        key: value if isinstance(value, (int, float, str)) else _plain(value) for key, value in wanted.items()
    }


def _plain(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, Sequence):
        return [[i, b if abs(b) != float("inf") else str(b)] for i, b in value]
    return str(value)


def _asked_notes(asked: Asked, pieces: Mapping[int, bytes]) -> list[str]:
    notes = []
    if len(asked.ids) > 1:
        spelled = " ".join(f"{visible_piece(pieces[i])} ({i})" for i in asked.ids)
        notes.append(
            f"{visible_piece(to_bytes(asked.text))} is {len(asked.ids)} tokens: {spelled}; the first is shown"
        )
    if asked.rejoined:
        notes.append(
            f"behind this prompt {visible_piece(to_bytes(asked.text))} would change the prompt's last token; "
            "it is shown as it is by itself"
        )
    return notes
