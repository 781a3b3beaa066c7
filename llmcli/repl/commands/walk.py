"""Commands that move within the conversation, whose branches all stay: back, aside, or to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.chat.messages import USER
from llmcli.chat.tree import Tip, path, tips
from llmcli.errors import UsageError
from llmcli.render.safe import safe_line
from llmcli.repl.commands.arguments import counted
from llmcli.repl.commands.registry import slash

if TYPE_CHECKING:
    from llmcli.repl.app import Repl

SHOWN = 50
"""Characters of a message that are shown to recognise a branch by."""


@slash("/undo", "step back to before your last message")
def _undo(repl: Repl, _argument: str) -> None:
    repl.put_back(repl.session.undo().content)
    repl.output.note("stepped back; your message is at the prompt")


@slash("/retry", "write another reply to your last message")
def _retry(repl: Repl, _argument: str) -> None:
    repl.answer(None)


@slash("/edit [TEXT]", "say something else in the place of your last message")
def _edit(repl: Repl, argument: str) -> None:
    asked = [message for message in repl.conversation.messages if message.role == USER]
    if not asked:
        raise UsageError("there is no message to edit")
    repl.is_editing = True
    if argument:
        repl.answer(argument)
    else:
        repl.put_back(asked[-1].content)


@slash("/clear", "step back to before the first message")
def _clear(repl: Repl, _argument: str) -> None:
    repl.session.clear()
    repl.output.note("cleared; /tree goes back to what was said")


@slash("/fork NAME", "go on as a branch of its own; the present one stays as it is")
def _fork(repl: Repl, argument: str) -> None:
    before = repl.session.tree.branch
    repl.session.fork(argument)
    repl.output.note(
        f"now on the branch {repl.session.tree.branch!r}" + (f"; {before!r} stays" * bool(before))
    )


@slash("/tree [N]", "list the branches, or go to one of them")
def _tree(repl: Repl, argument: str) -> None:
    found = tips(repl.session.tree)
    if not argument:
        for number, tip in enumerate(found, 1):
            repl.output.write(_row(repl, number, tip))
        return
    number = counted(argument)
    if not 1 <= number <= len(found):
        raise UsageError(f"there is no branch {argument}", hint=f"/tree lists them: 1 to {len(found)}")
    repl.session.go(found[number - 1])
    repl.output.write(_row(repl, number, tips(repl.session.tree)[number - 1]))


def _row(repl: Repl, number: int, tip: Tip) -> str:
    """`* 2 main  4 messages  what does top-p do? > Top-p keeps ...`: the last turn of the branch."""
    nodes = repl.session.tree.nodes
    numbers = path(repl.session.tree, tip.node)
    turn = " > ".join(safe_line(nodes[n].message.content[:SHOWN]) for n in numbers[-2:])
    mark = "*" if tip.is_present else " "
    name = f"{safe_line(tip.name)}  " if tip.name else ""
    plural = "" if len(numbers) == 1 else "s"
    return f"{mark}{number:>3}  {name}{len(numbers)} message{plural}  {turn}\n"
