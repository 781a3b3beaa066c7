"""The commands of llmcli, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated, Optional

import typer

from llmcli import __version__
from llmcli.cli.completion_scripts import FILES, completion_script
from llmcli.cli.console import Console
from llmcli.cli.examples import epilog
from llmcli.cli.options import Color, Debug, Quiet, command, set_globals

COMMANDS = ("chat", "tokenize", "detokenize", "count", "vocab", "probs", "bench", "doctor")
"""Each is a function of that name in the module of that name."""

GROUPS = ("sessions", "models", "config")
"""Each is a module of that name, with its commands in a table: SUBCOMMANDS."""

TAKE_NUMBERS = ("detokenize", "config set")
"""Commands whose arguments may begin with a dash."""

app = typer.Typer(
    # Typer's own completion starts the program at every Tab; the scripts of completions/ need not.
    add_completion=False,
    # Typer's rich help doubles the time that --help takes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"llmcli {__version__}")
        raise typer.Exit


def _script(shell: str | None) -> None:
    if shell is not None:
        if shell not in FILES:
            raise typer.BadParameter(f"{shell!r} is not one of {', '.join(FILES)}")
        typer.echo(completion_script(shell), nl=False)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def llmcli(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Debug = False,
    quiet: Quiet = False,
    color: Color = None,
    show_completion: Annotated[
        Optional[str],  # noqa: UP045 - Typer reads it on Python 3.10, too
        typer.Option(
            "--show-completion",
            metavar="|".join(FILES),
            callback=_script,
            is_eager=True,
            help="Print the completion script of a shell.",
        ),
    ] = None,
) -> None:
    """Chat with GGUF models, and see the tokens and probabilities behind every word."""
    console: Console = ctx.obj
    set_globals(console, debug, quiet, color)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def register(names: Sequence[str]) -> None:
    """Make commands part of the program."""
    for name in names:
        module = import_module(f"llmcli.cli.{name}")
        if name in GROUPS:
            app.add_typer(_group(module, name), name=name, epilog=epilog(name))
            continue
        function = getattr(module, name)
        app.command(context_settings=_settings(name), epilog=epilog(name))(command(function))


def _settings(name: str) -> dict[str, bool]:
    """What Typer is told of a command: -1 may be a value, if a wrong one."""
    return {"ignore_unknown_options": True} if name in TAKE_NUMBERS else {}


def _group(module: ModuleType, name: str) -> typer.Typer:
    """The commands of a module, under the module's name; without one it shows its help."""
    group = typer.Typer(rich_markup_mode=None)

    @group.callback(invoke_without_command=True, help=(module.__doc__ or "").partition(": ")[2].capitalize())
    def show_help(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    for word, function in module.SUBCOMMANDS.items():
        whole = f"{name} {word}"
        group.command(word, context_settings=_settings(whole), epilog=epilog(whole))(command(function))
    return group


def needed(args: Sequence[str]) -> Sequence[str]:
    """The commands that a command line has to know of.

    To read them all takes as long as Python's own start: who runs one should not wait for the others.
    """
    everything = COMMANDS + GROUPS
    if list(args) == ["--version"]:
        return ()
    return [name for name in args[:1] if name in everything] or everything
