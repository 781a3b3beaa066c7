"""What a turn gives: events while it runs, and the reply at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmcli.chat.messages import Message

FinishReason = Literal["stop", "length", "cancelled"]
"""The model ended (or a stop string came); a limit or the window's end was reached; Ctrl-C."""


@dataclass(frozen=True)
class Begun:
    """How a reply begins that the model is to go on with: the ids, with which its prompt ends.

    `said` is the message that they were, as far as it was shown; without one they are shown as the reply's
    first tokens.
    """

    ids: Sequence[int] = ()
    said: Message | None = None


NOT_BEGUN = Begun()


@dataclass(frozen=True)
class Usage:
    """Tokens: of the prompt, those evaluated for it and those the cache had, those of the reply."""

    prompt_tokens: int
    evaluated_tokens: int
    completion_tokens: int

    @property
    def cached_tokens(self) -> int:
        """Tokens of the prompt that did not have to be evaluated."""
        return self.prompt_tokens - self.evaluated_tokens


@dataclass(frozen=True)
class Timings:
    """Seconds: evaluating the prompt, until the first token, writing the reply."""

    prefill: float
    first_token: float
    decode: float


@dataclass(frozen=True)
class Outside:
    """What of the conversation is outside of the window, and what of it left in this turn."""

    policy: str = "stop"
    messages: int = 0
    tokens: int = 0
    messages_now: int = 0
    tokens_now: int = 0


@dataclass(frozen=True)
class Reply:
    """A finished (or cancelled) reply.

    `ids` are those of the prompt and the reply as it was written; reading its text back may give others. The
    reply `begins` at that place among them.
    """

    message: Message
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int
    ids: tuple[int, ...]
    context_size: int
    context_used: int
    begins: int
    outside: Outside = Outside()


@dataclass(frozen=True, slots=True)
class Generated:
    """Event: one token of the reply, and the text that can be shown after it.

    `shown` are stretches of text, each with whether it is thinking. It is empty while characters are
    incomplete or a stop string may have begun; what is still held back when the reply ends comes in a last
    event without a token. `prob` is the model's own probability of the token, where somebody asked for it.
    """

    id: int | None
    piece: bytes
    shown: tuple[tuple[str, bool], ...]
    prob: float | None = None


@dataclass(frozen=True)
class Notice:
    """Event: something the user should know."""

    text: str


@dataclass(frozen=True)
class Dropped(Notice):
    """Event: messages, or parts of one, have left the window."""

    messages: int
    tokens: int


Event = Generated | Notice | Reply
