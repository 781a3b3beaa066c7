"""The config file: TOML, read whole and checked whole, so that a typing error is told and not passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmcli.errors import InputError, UsageError
from llmcli.settings.folders import config_folder, home_folder
from llmcli.settings.keys import ALIASES, SECTIONS, Key, key_named, keys, suggestion
from llmcli.settings.there import exists, is_file, is_folder


@dataclass(frozen=True)
class Setting:
    """A value of the config file: what it means, how it is written, and the line it stands in."""

    key: Key
    value: Any
    raw: Any
    line: int


@dataclass(frozen=True)
class Config:
    """What the config file says, by the keys' whole names; nothing where there is no file."""

    path: Path
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def of_group(self, group: type) -> dict[str, Any]:
        """The values for a group of options, by field."""
        return {s.key.field: s.value for s in self.settings.values() if s.key.group is group}

    @property
    def model(self) -> str:
        """The model of whoever names none; empty where the file does not say."""
        return str(self.settings["model"].value) if "model" in self.settings else ""

    @property
    def aliases(self) -> dict[str, str]:
        """The user's own names for models."""
        return {s.key.name: s.value for s in self.settings.values() if s.key.table == ALIASES}

    @property
    def folders(self) -> tuple[Path, ...]:
        """More folders with models in them."""
        found = self.settings.get("models.folders")
        return tuple(map(Path, found.value)) if found else ()


@dataclass(frozen=True)
class Origin:
    """A setting as it holds where no flag is given: its value, as a file writes it, and its origin.

    `source` is the name of an environment variable, `file` (then `line` is its line) or `default`.
    """

    key: Key
    value: Any
    source: str
    line: int | None = None


def config_file(environ: Mapping[str, str]) -> Path:
    """Where the config file is; it need not exist."""
    return config_folder(environ) / "config.toml"


def read_config(environ: Mapping[str, str]) -> Config:
    """The config file, checked.

    Raises InputError where it can't be read, UsageError naming the line and the key of what is wrong in it.
    """
    path = config_file(environ)
    text = read_config_text(path)
    if not text:
        return Config(path)
    from llmcli.settings.toml_text import TomlError, parse

    try:
        raw = parse(text)
    except TomlError as error:
        raise UsageError(
            f"{path}, line {error.line}: {error.message[:1].lower()}{error.message[1:]}"
            f"{_key_in(text, error.line)}",
            hint="the file is TOML: key = value, texts in quotes, tables as [sampling]",
        ) from None
    home = str(home_folder(environ))
    settings: dict[str, Setting] = {}
    for names, value in _entries(raw):
        setting = _setting(path, text, names, value, home)
        if str(setting.key) in settings:
            raise UsageError(f"{path}, line {setting.line}: {setting.key}: it is there twice")
        settings[str(setting.key)] = setting
    return Config(path, settings)


def read_config_text(path: Path) -> str:
    """The file as it is; empty where there is none. Raises InputError where it can't be read."""
    try:
        if exists(path) and not is_file(path):
            what = "a folder" if is_folder(path) else "no file"
            raise InputError(f"{path}: the config file is {what}", hint="move it away")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8", hint="convert it to UTF-8") from None
    except OSError as error:
        raise InputError(
            f"{path}: can't read the config file: {error.strerror}",
            hint="LLMCLI_HOME names another place for it",
        ) from None


def origins(config: Config, environ: Mapping[str, str]) -> Iterator[Origin]:
    """Every setting with its value and where that comes from, in the order of the tables."""
    for name, key in keys().items():
        given = environ.get(key.option.env, "") if key.option.env else ""
        if given:
            yield Origin(key, given, key.option.env)
        elif name in config.settings:
            yield Origin(key, config.settings[name].raw, "file", config.settings[name].line)
        else:
            yield Origin(key, list(key.default) if key.default == () else key.default, "default")
    for setting in config.settings.values():
        if setting.key.table == ALIASES:
            yield Origin(setting.key, setting.raw, "file", setting.line)


def _entries(raw: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of the file: those of the known tables one by one, any other as it is."""
    for name, value in raw.items():
        if isinstance(value, dict) and (name == ALIASES or name in SECTIONS):
            yield from (((name, inner), what) for inner, what in value.items())
        else:
            yield (name,), value


def _setting(path: Path, text: str, names: tuple[str, ...], value: Any, home: str) -> Setting:
    """One value, checked. Raises UsageError."""
    from llmcli.settings.toml_text import line_of

    line = line_of(text, names)
    where, name = f"{path}, line {line}", ".".join(names)
    if names in ((ALIASES,), *((table,) for table in SECTIONS if table)):
        raise UsageError(f"{where}: {name}: must be a table: [{name}]")
    try:
        key = key_named(name)
    except UsageError:
        raise UsageError(f"{where}: {name}: there is no such setting", hint=suggestion(name)) from None
    try:
        return Setting(key, key.value(value, home), value, line)
    except ValueError as error:
        raise UsageError(f"{where}: {name}: {error}") from None


def _key_in(text: str, line: int) -> str:
    """`, in KEY` where a line begins as a key does."""
    name, equals, _ = text.split("\n")[line - 1].partition("=")
    return f", in {name.strip()}" if equals and name.strip() else ""
