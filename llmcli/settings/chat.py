"""What a reply looks like: the habits of whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass

from llmcli.settings.option import option, switch
from llmcli.settings.values import choice

THINK = ("show", "hide", "off")


@dataclass(frozen=True)
class ChatOptions:
    """What is shown of a reply."""

    think: str = option(
        "show",
        "--think",
        metavar="|".join(THINK),
        parse=choice(*THINK),
        help="A reasoning model's thinking; off asks the template for none.",
    )
    stats: bool = switch(
        False,
        "--stats",
        off="--no-stats",
        help="Figures on stderr after each reply.",
    )
    markdown: bool = switch(
        True,
        "--markdown",
        off="--plain",
        help="Draw replies on a terminal as Markdown, or stream them raw [default: markdown].",
    )
    probs: bool = switch(
        False,
        "--probs",
        off="--no-probs",
        help="Colour each token of a reply by its probability.",
    )
