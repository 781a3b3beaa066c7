"""Commands that change how replies are made and shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmcli.errors import UsageError
from llmcli.repl.commands.registry import slash
from llmcli.settings.option import options_of, parse_value
from llmcli.settings.sampling import SamplingOptions

if TYPE_CHECKING:
    from llmcli.repl.app import Repl


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
