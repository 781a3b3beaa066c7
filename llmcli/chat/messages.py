"""What was said, and by whom: the unit that a conversation is made of.

On the road from text to reply a message is the very first thing: a chat template
(``llmcli.chat.template``) turns a list of them into the text that is tokenized.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Role = Literal["system", "user", "assistant"]

SYSTEM: Final = "system"
USER: Final = "user"
ASSISTANT: Final = "assistant"
ROLES: Final[tuple[Role, ...]] = (SYSTEM, USER, ASSISTANT)


class Message(NamedTuple):
    """One message. ``reasoning`` is what an assistant thought before its answer, kept apart from it.

    >>> Message("user", "Hello")
    Message(role='user', content='Hello', reasoning='')

    Not a dataclass: a session has thousands, all made when it is opened.
    """

    role: Role
    content: str
    reasoning: str = ""
