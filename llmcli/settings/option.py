"""What an option is: flags, the values allowed, a default, a line of help; and groups of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, TypeVar

from llmcli.errors import UsageError
from llmcli.settings.values import Parse, text_value

Group = TypeVar("Group")


@dataclass(frozen=True)
class Option:
    """One option: its flags, what a text given for it means, and a line of help.

    `parse` turns the text of a flag into the value, or raises ValueError saying which values are
    allowed. A `repeatable` option collects its values in a tuple; a `switch` takes no text and
    means True, or with its `off` flag False.
    """

    flags: tuple[str, ...]
    help: str
    parse: Parse
    metavar: str
    repeatable: bool = False
    switch: bool = False
    off: str = ""
    env: str = ""
    """The environment variable that gives the value where no flag does."""
    in_config: bool = True
    """Whether the config file may give it; what belongs to a single question it may not."""


def option(
    default: Any,
    *flags: str,
    help: str,  # noqa: A002 - the word Typer and argparse use
    parse: Parse,
    metavar: str = "TEXT",
    repeatable: bool = False,
    switch: bool = False,
    off: str = "",
    env: str = "",
    in_config: bool = True,
) -> Any:
    """A dataclass field that is an option; `default` is the value when nobody gives one."""
    metadata = {"option": Option(flags, help, parse, metavar, repeatable, switch, off, env, in_config)}
    return field(default=default, metadata=metadata)


def switch(
    default: bool,
    *flags: str,
    help: str,  # noqa: A002
    off: str = "",
) -> Any:
    """A dataclass field that is a switch: its flag means True, its `off` flag False."""
    return option(default, *flags, help=help, parse=text_value, switch=True, off=off)


def options_of(group: type) -> dict[str, tuple[Option, Any]]:
    """The options of a group with their defaults, by field name, in order."""
    return {f.name: (f.metadata["option"], f.default) for f in fields(group)}


def build(
    group: type[Group], given: Mapping[str, Any], configured: Mapping[str, Any] = MappingProxyType({})
) -> Group:
    """A group from the texts given for its options (absent or None: the value configured, else the default).

    Raises UsageError naming the flag, the value and the values allowed.
    """
    values = {}
    for name, (opt, default) in options_of(group).items():
        raw = given.get(name)
        if raw is None or (opt.repeatable and not raw):
            values[name] = configured.get(name, default)
        elif opt.switch:
            values[name] = bool(raw)
        elif opt.repeatable:
            values[name] = tuple(parse_value(opt, text) for text in raw)
        else:
            values[name] = parse_value(opt, raw)
    return group(**values)


def parse_value(opt: Option, text: str) -> Any:
    """The value that `text` means for an option. Raises UsageError."""
    try:
        return opt.parse(text)
    except ValueError as error:
        flag = next((f for f in opt.flags if f.startswith("--")), opt.flags[0])
        raise UsageError(f"{flag} {text or repr(text)}: {error}") from None
