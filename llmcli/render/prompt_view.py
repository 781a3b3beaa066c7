"""The prompt: as JSON, and for a person with what the chat template wrote told apart from the messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llmcli.probs.prompt import Prompt
from llmcli.render.safe import safe

if TYPE_CHECKING:
    from rich.text import Text

MESSAGE_STYLE, TEMPLATE_STYLE = "bold", "dim cyan"
TEMPLATE, MESSAGE = "template", "message"


def prompt_data(prompt: Prompt) -> dict[str, Any]:
    """`prompt`, and where a template made it, `prompt_parts`: each stretch with where it comes from."""
    data: dict[str, Any] = {"prompt": prompt.text.decode("utf-8", "replace")}
    if prompt.contents:
        data["prompt_parts"] = [
            {"text": text.decode("utf-8", "replace"), "from": origin} for text, origin in stretches(prompt)
        ]
    return data


def stretches(prompt: Prompt) -> Iterator[tuple[bytes, str]]:
    """The prompt's text in stretches: each with whether it comes from the template or from a message."""
    text, at = prompt.text, 0
    for start, end in prompt.contents:
        if start > at:
            yield text[at:start], TEMPLATE
        yield text[start:end], MESSAGE
        at = end
    if at < len(text):
        yield text[at:], TEMPLATE


def prompt_view(prompt: Prompt, *, colors: bool) -> Text:
    """A templated prompt: the template's text dim, the messages' bold, or without colours in ⟦ ⟧.

    Each newline is shown, too: one more or less at the end makes another prompt.
    """
    from rich.text import Text

    view = Text()
    for part, origin in stretches(prompt):
        text = safe(part.decode("utf-8", "surrogateescape")).replace("\n", "↵\n")
        if colors:
            view.append(text, MESSAGE_STYLE if origin == MESSAGE else TEMPLATE_STYLE)
        else:
            view.append(f"⟦{text}⟧" if origin == MESSAGE else text)
    return view
