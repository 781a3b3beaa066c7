"""`llmcli doctor`: all that somebody who helps needs to know of a machine and what is installed on it."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcli.cli.console import Console


def doctor(
    console: Console,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what is installed, what this machine has, and what does not go together.

    Made to be pasted where somebody asks for it: of environment variables only the names are shown.
    """
    from llmcli.cli.findings import report
    from llmcli.render.data import to_json
    from llmcli.render.doctor import as_text

    found = report(console)
    console.write(to_json(found, indent=2) if json else as_text(found))
