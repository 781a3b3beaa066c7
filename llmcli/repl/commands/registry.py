"""The table of slash commands, and running one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmcli.errors import UsageError

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


class Leave(Exception):  # noqa: N818 - a request, not an error
    """The user wants to leave the conversation."""


@dataclass(frozen=True)
class Command:
    """A slash command: how it is written, what it does, and the function that does it."""

    name: str
    usage: str
    help: str
    completes: tuple[str, ...]
    """What Tab completes its argument to: files, or other things by name."""
    run: Callable[[Repl, str], None]


COMMANDS: dict[str, Command] = {}

Body = Callable[["Repl", str], None]


def slash(usage: str, description: str, *completes: str) -> Callable[[Body], Body]:
    """Enter a function into the table; the first word of `usage` is the command's name.

    `completes` are the kinds of things that its argument can name.
    """

    def register(function: Body) -> Body:
        name = usage.split()[0]
        COMMANDS[name] = Command(name, usage, description, completes, function)
        return function

    return register


def run_command(repl: Repl, line: str) -> None:
    """Run a line that begins with a slash. Raises UsageError for an unknown command."""
    name, _, argument = line.strip().partition(" ")
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name}", hint="/help lists them; // at the beginning sends a /")
    COMMANDS[name].run(repl, argument.strip())
