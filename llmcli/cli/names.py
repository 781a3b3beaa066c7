"""The names that a shell completes: of models, of sessions, of settings.

A shell asks at each press of Tab, with `_LLMCLI_NAMES=models llmcli`: so this imports as little as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from llmcli.errors import LlmcliError


def models(environ: Mapping[str, str]) -> Iterable[str]:
    """What can stand behind -m besides files: aliases, and what `models list` shows."""
    from llmcli.models.find import find
    from llmcli.settings.config import read_config

    config = read_config(environ)
    return [*config.aliases, *(model.name for model in find(environ, config.folders)[0])]


def sessions(environ: Mapping[str, str]) -> Iterable[str]:
    """The names of saved conversations, the last one used first."""
    from llmcli.chat.store import Store
    from llmcli.settings.folders import sessions_file
    from llmcli.settings.there import exists

    path = sessions_file(environ)
    if not exists(path):
        return []
    with Store(path) as store:
        return store.names()


def settings(environ: Mapping[str, str]) -> Iterable[str]:
    """The keys of the config file, the aliases in it too."""
    from llmcli.settings.config import read_config
    from llmcli.settings.keys import ALIASES, keys

    return [*keys(), *(f"{ALIASES}.{alias}" for alias in read_config(environ).aliases)]


NAMES: dict[str, Callable[[Mapping[str, str]], Iterable[str]]] = {
    "models": models,
    "sessions": sessions,
    "settings": settings,
}


def listed(kind: str, environ: Mapping[str, str]) -> str:
    """The names of a kind, a line each; none where they can't be read: a shell is no place for errors."""
    try:
        found = NAMES[kind](environ) if kind in NAMES else ()
        # One that spans lines or drives the terminal is none that can be typed.
        return "".join(f"{name}\n" for name in found if name.isprintable())
    except LlmcliError:
        return ""
