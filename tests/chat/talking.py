"""Conversations with a real model, for the tests of turns: what they are had with, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from llmcli.chat.conversation import Conversation
from llmcli.chat.reply import Event, Reply
from llmcli.settings.sampling import SamplingOptions

START, END = 481, 482
ENDLESS = SamplingOptions(logit_bias=((480, -float("inf")), (END, -float("inf"))), predict=12, seed=1)
"""A reply of 12 tokens: the model can't end it."""
LETTERS = replace(ENDLESS, grammar="root ::= [a-z ]+")
"""The same, in plain letters."""

Talk = Callable[..., Conversation]
"""Makes conversations with the tiny model, each on an engine of its own."""


def last(events: Iterator[Event]) -> Reply:
    """The reply that events end with."""
    *_, reply = events
    assert isinstance(reply, Reply)
    return reply


def said(reply: Reply) -> str:
    """The text of a reply."""
    return reply.message.content
