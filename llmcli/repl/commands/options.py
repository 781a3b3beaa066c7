"""Commands that change how replies are made and shown."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmcli.errors import UsageError
from llmcli.render.safe import safe_line
from llmcli.repl.commands.registry import slash
from llmcli.settings.option import Option, options_of, parse_value
from llmcli.settings.sampling import SamplingOptions

if TYPE_CHECKING:
    from llmcli.repl.app import Repl

THINK = ("show", "hide", "off")
ENABLE_THINKING = "enable_thinking"
"""The variable by which templates are asked for no thinking."""


@slash("/system [TEXT]", "show or set the system message; - takes it away")
def _system(repl: Repl, argument: str) -> None:
    if argument:
        repl.conversation.system = "" if argument == "-" else argument
    repl.output.write(f"system: {repl.conversation.system or '(none)'}\n")


@slash("/set NAME [VALUE]", "change a sampling option: /set temp 0.2; default resets it", "options")
def _set(repl: Repl, argument: str) -> None:
    given, _, text = argument.partition(" ")
    options = options_of(SamplingOptions)
    name = _option_named(given)
    if name is None:
        if not given:
            raise UsageError("usage: /set NAME [VALUE]", hint="/show lists the names")
        raise UsageError(f"there is no option {given!r}", hint=f"NAME is one of {', '.join(options)}")
    option, default = options[name]
    text = text.strip()
    if text:
        value = default if text == "default" else _value(option, text)
        changed = replace(repl.conversation.sampling, **{name: value})
        repl.conversation.engine.sampler(changed, ()).close()  # what llama.cpp refuses changes nothing
        repl.conversation.sampling = changed
    repl.output.note(f"{name} = {_spelled(getattr(repl.conversation.sampling, name))}")


@slash("/show", "show the model, the view and the sampling options; * marks what was changed")
def _show(repl: Repl, _argument: str) -> None:
    conversation, engine = repl.conversation, repl.conversation.engine
    rows = {
        "model": f"{engine.tokenizer.name}, window of {engine.context_size:,} tokens",
        "template": conversation.template.name,
        "think": _thinking(repl),
        "stats": "on" if repl.view.stats else "off",
    }
    for what, value in rows.items():
        repl.output.write(f"  {what:<20} {safe_line(value)}\n")
    for name, (_, default) in options_of(SamplingOptions).items():
        value = getattr(conversation.sampling, name)
        repl.output.write(f"{' ' if value == default else '*'} {name:<20} {safe_line(_spelled(value))}\n")


@slash("/model [REF]", "show the model, or go on with another one: a GGUF file or tiny", "models", "files")
def _model(repl: Repl, argument: str) -> None:
    if argument:
        repl.switch(argument)
        repl.output.note(f"going on with {repl.conversation.engine.tokenizer.name}")
    else:
        repl.output.write(f"{repl.conversation.engine.tokenizer.name}  {repl.session.model}\n")


@slash("/think [show|hide|off]", "show or hide the thinking of a reasoning model, or ask for none", "think")
def _think(repl: Repl, argument: str) -> None:
    if argument and argument not in THINK:
        raise UsageError("usage: /think [show|hide|off]")
    conversation = repl.conversation
    if argument:
        kwargs = {k: v for k, v in conversation.template_kwargs.items() if k != ENABLE_THINKING}
        conversation.template_kwargs = kwargs | ({ENABLE_THINKING: False} if argument == "off" else {})
        repl.view.shows_thinking = argument == "show"
    repl.output.note(f"think {_thinking(repl)}")


@slash("/stats", "turn the figures after each reply on or off")
def _stats(repl: Repl, _argument: str) -> None:
    repl.view.stats = not repl.view.stats
    repl.output.note(f"stats {'on' if repl.view.stats else 'off'}")


def _option_named(given: str) -> str | None:
    """The field of the option that somebody calls `temp`, `--top-k`, `top_k` or `n`."""
    for name, (option, _) in options_of(SamplingOptions).items():
        if given in (name, *option.flags, *(flag.lstrip("-") for flag in option.flags)):
            return name
    return None


def _value(option: Option, text: str) -> Any:
    """What a text means; an option that can be given several times takes several words. Raises UsageError."""
    if not option.repeatable:
        return parse_value(option, text)
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]  # a quotation mark by itself
    return tuple(parse_value(option, word) for word in words)


def _spelled(value: Any) -> str:
    return "(none)" if value in (None, ()) else str(value)


def _thinking(repl: Repl) -> str:
    if repl.conversation.template_kwargs.get(ENABLE_THINKING) is False:
        return "off"
    return "show" if repl.view.shows_thinking else "hide"
