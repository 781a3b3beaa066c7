"""The commands of llmcli, and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcli import __version__
from llmcli.cli.chat import chat
from llmcli.cli.console import Console
from llmcli.cli.count import count
from llmcli.cli.detokenize import detokenize
from llmcli.cli.options import Color, Debug, Quiet, command, set_globals
from llmcli.cli.probs import probs
from llmcli.cli.tokenize import tokenize
from llmcli.cli.vocab import vocab

app = typer.Typer(
    # Typer's rich help doubles the time that --help takes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"llmcli {__version__}")
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
) -> None:
    """Chat with GGUF models, and see the tokens and probabilities behind every word."""
    console: Console = ctx.obj
    set_globals(console, debug, quiet, color)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for function in (chat, tokenize, detokenize, count, vocab, probs):
    # -1 is an id, if a wrong one.
    settings = {"ignore_unknown_options": True} if function is detokenize else {}
    app.command(context_settings=settings)(command(function))
