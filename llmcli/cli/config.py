"""`llmcli config`: show and change the settings that hold where no flag is given."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.options import AsJson

FORMATS = ("table", "toml", "json")
KeyName = Annotated[str, typer.Argument(metavar="KEY", help="A setting, as 'config show' names it.")]


def show(
    console: Console,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="Default: a table on a terminal, toml in a pipe."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show every setting, and where its value comes from.

    A flag comes before the environment, that before the config file, and that before the default.
    """
    from llmcli.render.settings import FORMATS as AS
    from llmcli.settings.config import origins

    chosen = chosen_format(format, json, FORMATS, "table" if console.writes_terminal else "toml")
    console.write(AS[chosen](console.config.path, list(origins(console.config, console.environ))))


def path(console: Console) -> None:
    """Show where the config file is; it need not exist."""
    from llmcli.settings.config import config_file

    console.write(f"{config_file(console.environ)}\n")


def set_(
    console: Console,
    key: KeyName,
    value: Annotated[list[str], typer.Argument(help="Its value; several, where the setting is a list.")],
) -> None:
    """Set a value in the config file; comments and order stay.

    What a flag may say, its setting may: 'config set sampling.temp 0.2' is --temp 0.2 from now on.
    """
    from llmcli.settings.config import config_file, read_config_text
    from llmcli.settings.config_edit import raw_value, with_value
    from llmcli.settings.keys import key_named
    from llmcli.settings.new_file import save

    setting, file = key_named(key), config_file(console.environ)
    raw = raw_value(setting, value)
    save(file, with_value(read_config_text(file), setting, raw), make_folder=True)
    console.note(f"notice: {setting} is set in {file}")


def unset(console: Console, key: KeyName) -> None:
    """Take a value out of the config file, so that the default holds again."""
    from llmcli.settings.config import config_file, read_config_text
    from llmcli.settings.config_edit import without_value
    from llmcli.settings.keys import key_named
    from llmcli.settings.new_file import save

    setting, file = key_named(key), config_file(console.environ)
    before = read_config_text(file)
    if (after := without_value(before, setting)) == before:
        console.note(f"notice: {setting} is not set in {file}")
    else:
        save(file, after, make_folder=True)


SUBCOMMANDS = {"show": show, "path": path, "set": set_, "unset": unset}
