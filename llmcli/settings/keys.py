"""Every setting by its name in the config file: `model`, `engine.ctx-size`, `sampling.temp`, ...

The tables of options are the source: what a flag may say, a key may say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from llmcli.errors import UsageError
from llmcli.settings.chat import ChatOptions
from llmcli.settings.engine import EngineOptions
from llmcli.settings.model import AliasOptions, FolderOptions, ModelOptions
from llmcli.settings.option import Option, options_of
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions

SECTIONS: Mapping[str, tuple[type, ...]] = {
    "": (ModelOptions,),
    "models": (FolderOptions,),
    "engine": (EngineOptions,),
    "sampling": (SamplingOptions,),
    "chat": (ChatOptions, WindowOptions),
}
"""The tables of the config file, each with the groups of options whose values stand in it."""

ALIASES = "aliases"
"""The table with names of the user's own."""

PATHS = ("FILE", "FOLDER", "REF")
"""How the metavar of an option that may be a path begins: `~/` stands for the home folder there."""


@dataclass(frozen=True)
class Key:
    """A setting: its table and name in the config file, the option behind it, its group and default."""

    table: str
    name: str
    group: type
    field: str
    option: Option
    default: Any

    def __str__(self) -> str:
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def path(self) -> tuple[str, ...]:
        """The names that lead to it."""
        return (self.table, self.name) if self.table else (self.name,)

    def value(self, raw: Any, home: str = "") -> Any:
        """What a value of the config file means. Raises ValueError saying what is allowed."""
        option = self.option
        if option.switch:
            if not isinstance(raw, bool):
                raise ValueError("must be true or false")
            return raw
        if option.repeatable:
            if not isinstance(raw, list):
                raise ValueError('must be a list: ["a", "b"]')
            return tuple(option.parse(self._text(one, home)) for one in raw)
        return option.parse(self._text(raw, home))

    def _text(self, raw: Any, home: str) -> str:
        """A value of the file as a flag would be given it: `[3, 1]` is `3,1`."""
        if isinstance(raw, list):
            return ",".join(self._text(one, home) for one in raw)
        if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
            raise ValueError("must be a text or a number")  # noqa: TRY004 - a value of the file
        text = str(raw)
        if home and text.startswith("~/") and self.option.metavar.startswith(PATHS):
            return home + text[1:]
        return text


@cache
def keys() -> Mapping[str, Key]:
    """Every key but the aliases, by its whole name, in the order of the tables."""
    found = {}
    for table, groups in SECTIONS.items():
        for group in groups:
            for field, (option, default) in options_of(group).items():
                if option.in_config:
                    key = Key(table, field.replace("_", "-"), group, field, option, default)
                    found[str(key)] = key
    return found


def key_named(name: str) -> Key:
    """The key of a name; `_` counts as `-`. Raises UsageError that suggests the nearest."""
    table, dot, alias = name.partition(".")
    if table == ALIASES and dot and alias:
        [(field, (option, default))] = options_of(AliasOptions).items()
        return Key(ALIASES, alias, AliasOptions, field, option, default)
    spelled = name.replace("_", "-")
    if spelled in keys():
        return keys()[spelled]
    raise UsageError(f"{name}: there is no such setting", hint=suggestion(spelled))


def suggestion(name: str) -> str:
    """What somebody may have meant who wrote a name that is no key's."""
    from difflib import get_close_matches

    tail = name.rpartition(".")[2]
    near = [key for key in keys() if key.endswith(f".{tail}")] or get_close_matches(name, keys(), 3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{meant}'llmcli config show' lists the settings"
