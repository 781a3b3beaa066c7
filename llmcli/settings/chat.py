"""What a reply looks like: the habits of whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass

from llmcli.settings.option import option
from llmcli.settings.values import choice, text_value

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
    stats: bool = option(
        False,
        "--stats",
        off="--no-stats",
        parse=text_value,
        switch=True,
        help="Figures on stderr after each reply.",
    )
    markdown: bool = option(
        True,
        "--markdown",
        off="--plain",
        parse=text_value,
        switch=True,
        help="Draw replies on a terminal as Markdown, or stream them raw [default: markdown].",
    )
    probs: bool = option(
        False,
        "--probs",
        off="--no-probs",
        parse=text_value,
        switch=True,
        help="Colour each token of a reply by its probability.",
    )
