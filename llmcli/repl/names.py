"""What the arguments of commands can name: sessions, models, options."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from llmcli.errors import StoreError
from llmcli.repl.commands import COMMANDS
from llmcli.settings.model import BUNDLED
from llmcli.settings.option import options_of
from llmcli.settings.sampling import SamplingOptions

if TYPE_CHECKING:
    from llmcli.repl.app import Repl
    from llmcli.repl.completion import Names


def names(repl: Repl) -> Names:
    """All there are of each kind, looked up when somebody presses Tab."""
    return {
        "sessions": lambda: _sessions(repl),
        "models": lambda: [BUNDLED],
        "commands": lambda: [name.removeprefix("/") for name in COMMANDS],
        "options": lambda: list(options_of(SamplingOptions)),
        "think": lambda: ("show", "hide", "off"),
    }


def _sessions(repl: Repl) -> Iterable[str]:
    if repl.session.store is not None:
        with suppress(StoreError):
            return repl.session.store.names()
    return ()
