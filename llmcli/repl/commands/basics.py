"""Help, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcli.repl.commands.registry import COMMANDS, Leave, slash

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


@slash("/help", "list the commands")
def _help(repl: Repl, _argument: str) -> None:
    for command in COMMANDS.values():
        repl.output.write(f"{command.usage:<20} {command.help}\n")
    repl.output.write(f"{'//TEXT':<20} send a message that begins with a slash\n")


@slash("/exit", "leave (Ctrl-D)")
def _exit(_repl: Repl, _argument: str) -> None:
    raise Leave
