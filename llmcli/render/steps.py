"""The loop step by step: as JSON, and line by line as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmcli.probs.steps import Begun, Step
from llmcli.render.bars import bar, percent
from llmcli.render.probs import candidate_data
from llmcli.render.safe import safe
from llmcli.render.tokens import visible_piece

if TYPE_CHECKING:
    from rich.text import Text

STEP_BAR = 8


def steps_data(begun: Begun | None, done: Sequence[Step], text: bytes) -> dict[str, Any]:
    """The steps for JSON; `text` is the prompt with everything that was chosen."""
    return {
        "n_prompt_tokens": begun.n_prompt_tokens if begun else None,
        "seed": begun.seed if begun else None,
        "text": text.decode("utf-8", "replace"),
        "ended": bool(done) and done[-1].ends,
        "steps": [
            {
                "chosen": candidate_data(step.chosen),
                "entropy_bits": step.entropy_bits,
                "top": [candidate_data(candidate) for candidate in step.top],
            }
            for step in done
        ],
    }


def step_line(number: int, step: Step) -> Text:
    """A step on one line: the token chosen, and what else it might have been."""
    from rich.text import Text

    chosen = step.chosen
    line = Text(f"{number:>4}  ")
    line.append(visible_piece(chosen.piece), "bold")
    line.append(f"  {percent(chosen.prob)} ")
    line.append(bar(chosen.prob, STEP_BAR), "cyan")
    if chosen.rank > 1:
        line.append(f"  rank {chosen.rank}")
    others = [c for c in step.top if c.id != chosen.id]
    if others:
        line.append(
            "  not " + "  ".join(f"{visible_piece(c.piece)} {percent(c.prob)}" for c in others), "dim"
        )
    if step.ends:
        line.append("  (the model ends the text here)", "dim")
    return line


def text_so_far(prompt: bytes, generated: bytes) -> Text:
    """The whole text, what the loop wrote in bold."""
    from rich.text import Text

    view = Text("\n")
    view.append(safe(prompt.decode("utf-8", "surrogateescape")))
    view.append(safe(generated.decode("utf-8", "surrogateescape")), "bold")
    return view
