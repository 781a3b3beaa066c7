"""From the tables in settings/ to Typer's parameters: whole groups of flags for a command at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Optional, cast

import typer

from llmcli.cli.console import ColorChoice, Console
from llmcli.settings.option import Option, build, options_of

COLORS = ("auto", "always", "never")

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and all that llama.cpp says.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No notices on stderr.")]
Color = Annotated[
    Optional[str],  # noqa: UP045 - Typer reads it on Python 3.10, too
    typer.Option("--color", metavar="auto|always|never", help="Colours (NO_COLOR is honoured)."),
]
ModelRef = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "-m",
        "--model",
        metavar="REF",
        help="The model: a GGUF file, a name that 'llmcli models list' shows, a unique part of one, or tiny, "
        "which ships with llmcli [env: LLMCLI_MODEL] [default: tiny].",
    ),
]

TokenizerRef = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--tokenizer",
        metavar="PATH",
        help="In the model's place: a tokenizer.json, a folder with one, or a GGUF file.",
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
ParseSpecial = Annotated[
    bool,
    typer.Option(
        "--parse-special/--no-parse-special", help="Whether special tokens written in the text are special."
    ),
]

ChatTemplateRef = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--chat-template", metavar="NAME|FILE", help="Template [default: the model's own]."),
]
ChatTemplateKwargs = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--chat-template-kwargs", metavar="JSON", help="Variables for the template."),
]


def set_globals(console: Console, debug: bool, quiet: bool, color: str | None) -> None:
    """Take over the options that every command has, before or after its name."""
    console.debug |= debug
    console.quiet |= quiet
    if color is not None:
        if color not in COLORS:
            raise typer.BadParameter(f"{color!r} is not one of {', '.join(COLORS)}", param_hint="--color")
        console.color = cast(ColorChoice, color)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command's body.

    Its first parameter gets the Console. Keyword parameters annotated with a group of options (a dataclass
    of settings/) become that group's flags, and get the group filled in; a parameter `NAME_given` learns
    whether any flag of the group NAME was given. The others are Typer's.
    """
    own = inspect.signature(function, eval_str=True).parameters.values()
    groups = {p.name: p.annotation for p in own if _is_group(p.annotation)}
    asks_if_given = {name for name in groups if any(p.name == f"{name}_given" for p in own)}
    apart = {*groups, *(f"{name}_given" for name in asks_if_given)}
    parameters = [_parameter("ctx", typer.Context)]
    parameters += [p for p in own if p.name not in apart and p.annotation is not Console]
    for group in groups.values():
        parameters += _flags(group)
    parameters += [
        _parameter("debug", Debug, False),
        _parameter("quiet", Quiet, False),
        _parameter("color", Color, None),
    ]

    def run(ctx: typer.Context, **given: Any) -> None:
        console: Console = ctx.obj
        set_globals(console, given.pop("debug"), given.pop("quiet"), given.pop("color"))
        for name in groups.keys() & asks_if_given:
            filled_in = (given.get(field) for field in options_of(groups[name]))
            given[f"{name}_given"] = any(value not in (None, []) for value in filled_in)
        filled = {}
        for name, group in groups.items():
            texts = {field: given.pop(field) for field in options_of(group)}
            filled[name] = build(group, texts, console.config.of_group(group))
        function(console, **given, **filled)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    return run


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and annotation.__module__.startswith("llmcli.settings.")


def _flags(group: type) -> Iterator[inspect.Parameter]:
    for name, (option, default) in options_of(group).items():
        kind: Any = bool if option.switch else list[str] if option.repeatable else str
        flags = [*option.flags[:-1], f"{option.flags[-1]}/{option.off}"] if option.off else option.flags
        info = typer.Option(
            *flags, metavar=None if option.switch else option.metavar, help=_help(option, default)
        )
        yield _parameter(name, Annotated[Optional[kind], info], None)  # noqa: UP045


def _help(option: Option, default: Any) -> str:
    """The help line, with the default where the line does not speak of it itself."""
    if option.switch or default in (None, ()) or "(default" in option.help or "the model's." in option.help:
        return option.help
    return f"{option.help} [default: {default}]"


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)
