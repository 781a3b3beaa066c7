"""The settings: as a table, as a config file, as JSON, and as a table of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmcli.render.data import to_json
from llmcli.render.safe import safe_line
from llmcli.settings.config import Origin
from llmcli.settings.keys import Key
from llmcli.settings.toml_text import spelled, spelled_key


def as_table(path: Path, origins: Sequence[Origin]) -> str:
    """A line a setting: its name, its value, and where that comes from."""
    rows = [(str(one.key), safe_line(_shown(one.value)), _source(one)) for one in origins]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = (f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}".rstrip() for name, value, source in rows)
    return "\n".join([*lines, "", f"file: {safe_line(str(path))}", ""])


def as_toml(_path: Path, origins: Sequence[Origin]) -> str:
    """A config file that says the same; what nobody set is commented out."""
    lines: list[str] = []
    table = ""
    for one in origins:
        if one.key.table != table:
            table = one.key.table
            lines += ["", f"[{table}]"]
        value = "" if one.value is None else f" {spelled(one.value)}"
        line = f"{spelled_key(one.key.name)} ={value}"
        if one.source == "default":
            lines.append(f"# {line}")
        else:
            lines.append(line if one.source == "file" else f"{line}  # {one.source}")
    return "\n".join(lines) + "\n"


def as_json(path: Path, origins: Sequence[Origin]) -> str:
    """All of it, with the file and the lines."""
    settings = [
        {"key": str(one.key), "value": one.value, "source": one.source, "line": one.line} for one in origins
    ]
    return to_json({"path": str(path), "settings": settings})


FORMATS = {"table": as_table, "toml": as_toml, "json": as_json}


def as_markdown(keys: Iterable[Key]) -> str:
    """The table of the documentation: each key with its flags, values, default and meaning."""
    rows = ["| key | flags | value | default | meaning |", "|---|---|---|---|---|"]
    for key in keys:
        option = key.option
        flags = ", ".join(f"`{flag}`" for flag in (*option.flags, option.off) if flag)
        if option.env:
            flags += f", environment `{option.env}`"
        value = "true or false" if option.switch else f"`{_cell(option.metavar)}`"
        if option.repeatable:
            value = f"list of {value}"
        default = "" if key.default in (None, ()) else f"`{_cell(spelled(key.default))}`"
        rows.append(f"| `{key}` | {flags} | {value} | {default} | {_cell(option.help)} |")
    return "\n".join(rows) + "\n"


def _source(origin: Origin) -> str:
    return f"line {origin.line}" if origin.line else origin.source


def _shown(value: Any) -> str:
    return "" if value in (None, []) else value if isinstance(value, str) else spelled(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
