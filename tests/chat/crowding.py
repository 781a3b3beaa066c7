"""What the tests of a full window share: what is asked, what left, what the model can see."""

from __future__ import annotations

from llmcli.chat.conversation import Conversation
from llmcli.chat.reply import Dropped, Event, Reply
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import decode

NO_END = ((480, -float("inf")), (482, -float("inf")))
SAMPLING = SamplingOptions(logit_bias=NO_END, predict=12, seed=1, grammar="root ::= [a-z ]+")
"""A reply of 12 tokens in plain letters: the model can't end it."""

ASKED = "the quick brown fox jumps over the lazy dog"

REQUEST_SIZE, NEW_MESSAGE = 60, 40
"""At most so many tokens are a request for a summary and a short message, with what the template writes."""


def asked(conversation: Conversation, text: str = ASKED) -> tuple[list[Dropped], Reply]:
    """What left at a turn, and the reply."""
    events: list[Event] = list(conversation.ask(text))
    reply = events[-1]
    assert isinstance(reply, Reply)
    return [event for event in events if isinstance(event, Dropped)], reply


def until_cut(conversation: Conversation) -> tuple[Dropped, Reply]:
    """Talk until something leaves the window."""
    for number in range(40):
        dropped, reply = asked(conversation, f"{number} {ASKED}")
        if dropped:
            return dropped[0], reply
    raise AssertionError("the window never fills")


def seen(conversation: Conversation) -> str:
    """What the model sees: the text in its cache."""
    return decode(conversation.engine.tokenizer, list(conversation.engine.cached)).decode("utf-8", "replace")
