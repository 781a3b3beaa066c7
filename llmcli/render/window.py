"""The window as lines for a person: its messages, and what it is used for."""

from __future__ import annotations

from llmcli.chat.messages import Message
from llmcli.chat.tally import Tally

WORDS = 60


def message_line(number: int, message: Message, tokens: int | None, *, pinned: bool) -> str:
    """A message of the conversation with its tokens, or that it is outside. Not made safe."""
    size = "outside" if tokens is None else f"{tokens:>6} tokens"
    mark = "  (pinned)" if pinned else ""
    return f"{number:>3} {message.role:<10} {size:>13}  {message.content[:WORDS]}{mark}"


def tally_line(tally: Tally) -> str:
    """What the window is used for."""
    parts = {
        "system": tally.system,
        "history": tally.history,
        "pinned": tally.pinned,
        "reply reserve": tally.reserve,
        "free": tally.free,
    }
    return ", ".join(f"{name} {count:,}" for name, count in parts.items())
