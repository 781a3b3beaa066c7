"""The slash commands that look at the window, and change what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.errors import StoreError, UsageError
from llmcli.render.safe import safe_line
from llmcli.render.window import message_line, tally_line
from llmcli.repl.commands.arguments import counted
from llmcli.repl.commands.registry import slash

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


@slash("/context", "list the messages with their tokens, and what the window is used for")
def _context(repl: Repl, _argument: str) -> None:
    conversation = repl.conversation
    tally = conversation.tally()
    for number, (message, tokens) in enumerate(zip(conversation.messages, tally.messages, strict=True)):
        line = message_line(number, message, tokens, pinned=conversation.is_pinned(number))
        repl.output.write(safe_line(line) + "\n")
    repl.output.write(f"the window holds {tally.used} of {tally.size} tokens\n")
    repl.output.write(f"{tally_line(tally)}\n")


@slash("/continue", "go on with a reply that met its limit")
def _continue(repl: Repl, _argument: str) -> None:
    repl.answer(None, go_on=True)


@slash("/pin NUMBER", "keep a message and its turn in the window; once more: no longer")
def _pin(repl: Repl, argument: str) -> None:
    number = counted(argument)
    if not 0 <= number < len(repl.conversation.messages):
        raise UsageError("usage: /pin NUMBER", hint="the number of a message, as /context lists them")
    pinned = repl.conversation.pin(number)
    _keep_window(repl)
    repl.output.note(f"message {number} {'is pinned' if pinned else 'may leave the window'}")


@slash("/compact [undo]", "put a summary in the place of all turns but the last; or take the last cut back")
def _compact(repl: Repl, argument: str) -> None:
    conversation = repl.conversation
    if argument not in ("", "undo"):
        raise UsageError("usage: /compact or /compact undo")
    if argument == "undo":
        if not conversation.window.take_back(conversation.messages):
            raise UsageError("nothing has left the window")
        conversation.stepped_back()
        _keep_window(repl)
        repl.output.note("what left last is in the window again")
        return
    with repl.progress() as on_prefill:
        for notice in conversation.compact(on_prefill=on_prefill):
            repl.view.show(notice)
    _keep_window(repl)


def _keep_window(repl: Repl) -> None:
    """Have the changed window on disk; it holds all the same where that fails."""
    try:
        repl.session.keep_window()
    except StoreError as error:
        repl.output.note(f"notice: the window is not saved yet: {error.message}")
