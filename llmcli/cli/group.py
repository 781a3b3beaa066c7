"""A command of commands: `llmcli sessions list`, `llmcli sessions show`, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import typer

from llmcli.cli.options import command


@dataclass(frozen=True)
class Group:
    """The commands of a group by name, and the group's line of help."""

    help: str
    commands: Mapping[str, Callable[..., None]]

    def as_typer(self) -> typer.Typer:
        """What Typer makes part of the program; without a command it shows its help."""
        group = typer.Typer(help=self.help, rich_markup_mode=None)

        @group.callback(invoke_without_command=True)
        def show_help(ctx: typer.Context) -> None:
            if ctx.invoked_subcommand is None:
                typer.echo(ctx.get_help())

        for name, function in self.commands.items():
            group.command(name)(command(function))
        return group
