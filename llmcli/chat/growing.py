"""A reply while it is written: what of it goes to disk, and when."""

from __future__ import annotations

import time

from llmcli.chat.messages import ASSISTANT, Message
from llmcli.chat.reply import Generated
from llmcli.chat.tree import Made, Node

FLUSH = 0.5
"""Seconds of a reply that may be lost."""


class Growing:
    """A reply while it is written, and when it was last written down."""

    def __init__(self, parent: int, origin: str, begun: Message | None) -> None:
        self.origin = origin
        self.created = time.time()
        self._parent = parent
        said, thought = (begun.content, begun.reasoning) if begun else ("", "")
        self._texts = {True: [thought], False: [said]}
        self._flushed = 0.0

    def add(self, event: Generated) -> bool:
        """Take what a token adds; whether it is time to write the reply down."""
        for text, thinking in event.shown:
            self._texts[thinking].append(text)
        now = time.monotonic()
        is_due = now - self._flushed >= FLUSH
        if is_due:
            self._flushed = now
        return is_due

    def node(self) -> Node:
        """The reply as far as it has come."""
        message = Message(ASSISTANT, "".join(self._texts[False]), "".join(self._texts[True]))
        return Node(message, self._parent, self.created, Made(origin=self.origin))
