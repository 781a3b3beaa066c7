"""Help, and the way out."""

from __future__ import annotations

from textwrap import fill, indent
from typing import TYPE_CHECKING

from llmcli.errors import UsageError
from llmcli.repl.commands.registry import COMMANDS, Leave, slash

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


@slash("/help [COMMAND]", "list the commands, or explain one", "commands")
def _help(repl: Repl, argument: str) -> None:
    if argument:
        name = f"/{argument.lstrip('/')}"
        if name not in COMMANDS:
            raise UsageError(f"unknown command {name}", hint="/help lists them")
        repl.output.write(f"{COMMANDS[name].usage}\n    {COMMANDS[name].help}\n")
        return
    widest = max(len(command.usage) for command in COMMANDS.values())
    rows = [(command.usage, command.help) for command in COMMANDS.values()]
    for usage, description in [*rows, ("//TEXT", "send a message that begins with a slash")]:
        if (columns := repl.output.size()[0]) < widest + 50:  # a narrow terminal: below each other
            repl.output.write(f"{usage}\n{indent(fill(description, columns - 4), '    ')}\n")
        else:
            repl.output.write(f"{usage:<{widest}}  {description}\n")


@slash("/exit", "leave (Ctrl-D)")
def _exit(_repl: Repl, _argument: str) -> None:
    raise Leave
