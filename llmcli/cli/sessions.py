"""`llmcli sessions`: list, show, export, remove and search the conversations that were saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.options import AsJson
from llmcli.errors import LlmcliError
from llmcli.render.safe import safe_line
from llmcli.settings.folders import cache_folder, sessions_file

if TYPE_CHECKING:
    from llmcli.chat.store import Store

SNAPSHOTS = "kv"
"""The folder of caches in the cache folder."""
EXPORTS = ("md", "json", "jsonl", "html")


Name = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="Default: the last one used."),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def open_store(console: Console) -> Store:
    """The file of sessions; a context manager."""
    from llmcli.chat.store import Store

    return Store(sessions_file(console.environ))


def show_list(console: Console, json: Json = False) -> None:
    """List the sessions, the last one used first."""
    from llmcli.render.sessions import list_as_json, list_as_table, list_as_tabs

    with open_store(console) as store:
        found = store.summaries()
    if json:
        console.write(list_as_json(found))
    elif not console.writes_terminal:
        console.write(list_as_tabs(found))
    elif found:
        console.rich().print(list_as_table(found))
    else:
        console.note("no sessions yet: every conversation on a terminal is saved, or one with --session NAME")


def show(console: Console, name: Name = None, json: Json = False) -> None:
    """Show a session: what is known of it, and what was said."""
    from llmcli.render.session_export import as_json
    from llmcli.render.sessions import session_as_text

    with open_store(console) as store:
        saved = store.read(name or store.latest())
    console.write(as_json(saved, everything=False) if json else session_as_text(saved))


def export(
    console: Console,
    name: Name = None,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None,
        typer.Option("--format", metavar="|".join(EXPORTS), help="Default: md."),
    ] = None,
    json: AsJson = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All branches, not only the present one.")
    ] = False,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write it to a file.")
    ] = None,
) -> None:
    """Write a session as Markdown, JSON, a message a line, or a page."""
    chosen = chosen_format(format, json, EXPORTS, "md")
    from llmcli.render.session_export import FORMATS
    from llmcli.settings.new_file import save

    with open_store(console) as store:
        text = FORMATS[chosen](store.read(name or store.latest()), everything=everything)
    if output is None:
        console.write(text)
    else:
        save(Path(output), text)


def remove(
    console: Console,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="The sessions to remove."),
    ],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Remove sessions, with all that was said in them. On a terminal it asks first."""
    from llmcli.chat.snapshot import forget

    with open_store(console) as store:
        n_messages = sum(map(store.n_messages, dict.fromkeys(names)))
        if console.reads_terminal and not yes:
            what = ", ".join(map(safe_line, names))
            typer.confirm(f"remove {what} with {n_messages:,} messages for ever?", abort=True, err=True)
        for name in dict.fromkeys(names):
            forget(cache_folder(console.environ) / SNAPSHOTS, store.remove(name))
            console.note(f"removed {safe_line(name)}")


def search(
    console: Console,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words, or parts of words.")],
    json: Json = False,
) -> None:
    """Find the messages in which all of the words occur, in any session; exits 1 where there is none."""
    text = " ".join(words)
    with open_store(console) as store:
        found = store.search(text)
    from llmcli.render.sessions import found_as_json, found_as_tabs, found_as_text

    if json:
        console.write(found_as_json(found))
    elif console.writes_terminal:
        console.write_raw(found_as_text(found, text, colors=console.colors_output))
    else:
        console.write(found_as_tabs(found))
    if not found:
        raise LlmcliError(f"no message has {text!r} in it")


SUBCOMMANDS = {"list": show_list, "show": show, "export": export, "rm": remove, "search": search}
