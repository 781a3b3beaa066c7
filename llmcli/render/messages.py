"""The tokens of a conversation, each with the message that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmcli.chat.messages import Message
from llmcli.render.data import to_json
from llmcli.render.tokens import Encoded, as_table, data
from llmcli.tokens.offsets import Token

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llmcli.chat.transcript import Range

TEMPLATE = "template"


def owners(tokens: Sequence[Token], ranges: Sequence[Range]) -> list[int | None]:
    """The message of each token, by number; None for the template's own text.

    A token that has characters of both belongs to the one that it has more of.
    """
    found: list[int | None] = []
    first = 0
    for token in tokens:
        while first < len(ranges) and ranges[first].end <= token.char_start:
            first += 1
        shares = [
            (min(r.end, token.char_end) - max(r.start, token.char_start), -n, r.message)
            for n, r in enumerate(ranges[first : first + 3])
        ]
        share, _, message = max(shares, default=(0, 0, 0))
        found.append(message if share > 0 and share * 2 >= token.char_end - token.char_start else None)
    return found


def messages_as_json(encoded: Encoded, messages: Sequence[Message], ranges: Sequence[Range]) -> str:
    """As for a text, with the messages, and in each token the number of its own (null: the template's)."""
    found = data(encoded)
    for token, owner in zip(found["tokens"], owners(encoded.tokens(), ranges), strict=True):
        token["message"] = owner
    found["prompt"] = encoded.text.decode("utf-8", "replace")
    found["messages"] = [{"index": n, "role": message.role} for n, message in enumerate(messages)]
    return to_json(found, indent=2)


def messages_as_table(
    encoded: Encoded, messages: Sequence[Message], ranges: Sequence[Range], *, colors: bool
) -> RenderableType:
    """The coloured prompt and a row a token, with the message it belongs to."""
    names = [
        TEMPLATE if owner is None else f"{owner} {messages[owner].role}"
        for owner in owners(encoded.tokens(), ranges)
    ]
    return as_table(encoded, names, colors=colors)
