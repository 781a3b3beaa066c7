"""The slash commands: a table of small functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmcli.errors import UsageError
from llmcli.render.tokens import visible_piece
from llmcli.settings.option import options_of, parse_value
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import to_bytes

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
    run: Callable[[Repl, str], None]


COMMANDS: dict[str, Command] = {}

Body = Callable[["Repl", str], None]


def slash(usage: str, description: str) -> Callable[[Body], Body]:
    """Enter a function into the table; the first word of `usage` is the command's name."""

    def register(function: Body) -> Body:
        name = usage.split()[0]
        COMMANDS[name] = Command(name, usage, description, function)
        return function

    return register


def run_command(repl: Repl, line: str) -> None:
    """Run a line that begins with a slash. Raises UsageError for an unknown command."""
    name, _, argument = line.strip().partition(" ")
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name}", hint="/help lists them; // at the beginning sends a /")
    COMMANDS[name].run(repl, argument.strip())


@slash("/help", "list the commands")
def _help(repl: Repl, _argument: str) -> None:
    for command in COMMANDS.values():
        repl.output.write(f"{command.usage:<20} {command.help}\n")
    repl.output.write(f"{'//TEXT':<20} send a message that begins with a slash\n")


@slash("/exit", "leave (Ctrl-D)")
def _exit(_repl: Repl, _argument: str) -> None:
    raise Leave


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


@slash("/system [TEXT]", "show or set the system message; - takes it away")
def _system(repl: Repl, argument: str) -> None:
    if argument:
        repl.conversation.system = "" if argument == "-" else argument
    repl.output.write(f"system: {repl.conversation.system or '(none)'}\n")


@slash("/set NAME VALUE", "change a sampling option: /set temp 0.2")
def _set(repl: Repl, argument: str) -> None:
    name, _, value = argument.partition(" ")
    name = name.replace("-", "_")
    options = options_of(SamplingOptions)
    if name not in options or options[name][0].repeatable or not value:
        settable = ", ".join(n for n, (option, _) in options.items() if not option.repeatable)
        raise UsageError("usage: /set NAME VALUE", hint=f"NAME is one of {settable}")
    changed = replace(repl.conversation.sampling, **{name: parse_value(options[name][0], value.strip())})
    repl.conversation.engine.sampler(changed, ()).close()  # a grammar that does not parse changes nothing
    repl.conversation.sampling = changed
    repl.output.note(f"{name} = {value.strip()}")


@slash("/show", "show the sampling options")
def _show(repl: Repl, _argument: str) -> None:
    for name in options_of(SamplingOptions):
        repl.output.write(f"{name:<20} {getattr(repl.conversation.sampling, name)}\n")


@slash("/stats", "turn the figures after each reply on or off")
def _stats(repl: Repl, _argument: str) -> None:
    repl.view.stats = not repl.view.stats
    repl.output.note(f"stats {'on' if repl.view.stats else 'off'}")


@slash("/tokens TEXT", "show the tokens of a text")
def _tokens(repl: Repl, argument: str) -> None:
    tokenizer = repl.conversation.engine.tokenizer
    ids = tokenizer.encode(to_bytes(argument), bos=False, eos=False)
    spelled = "  ".join(f"{visible_piece(tokenizer.piece(i))} {i}" for i in ids)
    repl.output.write(f"{len(ids)} tokens: {spelled}\n")
