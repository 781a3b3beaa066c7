"""Commands that move within the conversation: back, aside, or to a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.errors import UsageError
from llmcli.repl.commands.registry import slash

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


@slash("/new", "begin a new conversation with the same system message")
def _new(repl: Repl, _argument: str) -> None:
    repl.conversation.clear()
    repl.output.note("a new conversation")


@slash("/undo", "step back to before your last message")
def _undo(repl: Repl, _argument: str) -> None:
    message = repl.conversation.undo()
    if message is None:
        raise UsageError("there is nothing to undo")
    repl.put_back(message.content)
    repl.output.note("stepped back; your message is at the prompt")


@slash("/retry", "write another reply to your last message")
def _retry(repl: Repl, _argument: str) -> None:
    if not any(message.role == "user" for message in repl.conversation.messages):
        raise UsageError("there is no message to answer")
    repl.answer(None)
