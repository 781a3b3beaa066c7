"""Windows and stand-ins for chat templates, an id a character, for the tests of what a window keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmcli.chat.messages import ASSISTANT, SYSTEM, USER, Message
from llmcli.chat.window import Window
from llmcli.errors import TemplateError
from llmcli.settings.window import WindowOptions

Spell = Callable[[Sequence[Message]], list[int]]
ROLES = {SYSTEM: 1, USER: 2, ASSISTANT: 3}


def plain(messages: Sequence[Message]) -> list[int]:
    """A template as most are: a role, an id a character, an end; and what opens the reply."""
    ids = []
    for message in messages:
        ids += [ROLES[message.role], *(10 + ord(c) for c in message.content), 4]
    return [*ids, 3]


def rewriting(messages: Sequence[Message]) -> list[int]:
    """What a message takes depends on its neighbours: all but the last reply are shortened."""
    last = max((i for i, m in enumerate(messages) if m.role == ASSISTANT), default=-1)
    return plain(
        [
            Message(m.role, m.content[:3]) if m.role == ASSISTANT and i != last else m
            for i, m in enumerate(messages)
        ]
    )


def strict(messages: Sequence[Message]) -> list[int]:
    """Refuses what does not alternate between user and assistant, and an odd number of earlier turns."""
    body = [m for m in messages if m.role != SYSTEM]
    if [m.role for m in body] != [USER, ASSISTANT] * (len(body) // 2) + [USER] * (len(body) % 2):
        raise TemplateError("roles must alternate")
    if len(body) > 1 and len(body) // 2 % 2:
        raise TemplateError("I count turns in pairs")
    return plain(messages)


def window_for(policy: str, size: int, keep: int = 0, reserve: int | None = None) -> Window:
    """A window of `size` tokens with a policy for when it is full."""
    return Window(size, WindowOptions(overflow=policy, keep_messages=keep, reserve=reserve))


def body_of(messages: Sequence[Message]) -> list[Message]:
    """The messages without the system message."""
    return [m for m in messages if m.role != SYSTEM]
