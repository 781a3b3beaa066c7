"""Changing one value in the text of the config file; comments, order and everything else stay as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llmcli.errors import UsageError
from llmcli.settings.keys import Key
from llmcli.settings.toml_text import Statement, TomlError, parse, spelled, spelled_key, statements

SWITCHED = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
BY_HAND = "change it by hand: 'llmcli config path' says where the file is"


def raw_value(key: Key, texts: Sequence[str]) -> Any:
    """The texts given for a key as the file holds them: a switch as true or false, numbers as numbers.

    Raises UsageError saying what is allowed.
    """
    shown = " ".join(text or repr(text) for text in texts)
    try:
        raw = _raw(key, texts)
        key.value(raw)
        shown.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{key}: the value is not UTF-8") from None
    except ValueError as error:
        raise UsageError(f"{key} {shown}: {error}") from None
    return raw


def _raw(key: Key, texts: Sequence[str]) -> Any:
    """The texts as they would stand in the file. Raises ValueError."""
    if key.option.repeatable:
        return [_native(key, text) for text in texts]
    if len(texts) != 1:
        raise ValueError("takes one value")
    if not key.option.switch:
        return _native(key, texts[0])
    if texts[0].lower() not in SWITCHED:
        raise ValueError("must be true or false")
    return SWITCHED[texts[0].lower()]


def with_value(text: str, key: Key, raw: Any) -> str:
    """The text with the key set. Raises UsageError where it is no TOML, or writes the key in another way.

    >>> # with_value("[sampling]\\ntemp = 0.2  # calm\\n", the key sampling.temp, 0.7)
    >>> # -> "[sampling]\\ntemp = 0.7  # calm\\n"
    """
    before = _parsed(text)
    lines = text.split("\n")
    if lines[-1]:
        lines.append("")
    there = _statement(text, key)
    if there is not None:
        lines[there.first : there.end] = [_replaced(lines[there.first : there.end], key, raw)]
    else:
        _insert(lines, text, key, f"{spelled_key(key.name)} = {spelled(raw)}")
    return _checked("\n".join(lines), _changed(before, key, raw))


def without_value(text: str, key: Key) -> str:
    """The text without the key, and without the comment on its line. Errors as `with_value`."""
    before = _parsed(text)
    there = _statement(text, key)
    if there is None:
        return text
    lines = text.split("\n")
    del lines[there.first : there.end]
    after = _changed(before, key, None)
    return _checked("\n".join(lines), after)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return parse(text)
    except TomlError as error:
        raise UsageError(f"the config file, line {error.line}: {error.message}", hint=BY_HAND) from None


def _changed(raw: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    """What the file says once the key is set (or with None taken out)."""
    new = dict(raw)
    table = new
    if key.table:
        old = new.get(key.table, {})
        table = new[key.table] = dict(old) if isinstance(old, dict) else {}
    same = next((name for name in table if _same(name, key)), key.name)
    if value is None:
        table.pop(same, None)
    else:
        table[same] = value
    return new


def _checked(text: str, wanted: dict[str, Any]) -> str:
    """The new text, if it says what it should and nothing else."""
    try:
        says = parse(text)
    except TomlError:
        says = {}
    if _full(says) != _full(wanted):
        raise UsageError("the config file writes this in a way that can't be changed here", hint=BY_HAND)
    return text


def _full(raw: dict[str, Any]) -> dict[str, Any]:
    """Without empty tables: whether one is written makes no difference."""
    return {name: value for name, value in raw.items() if value != {}}


def _statement(text: str, key: Key) -> Statement | None:
    """The statement that gives the key and nothing else."""
    for statement in statements(text):
        for path in statement.values:
            if path[:-1] == key.path[:-1] and _same(path[-1], key):
                return statement
    return None


def _same(name: str, key: Key) -> bool:
    return name == key.name or (key.table != "aliases" and name.replace("_", "-") == key.name)


def _replaced(lines: list[str], key: Key, raw: Any) -> str:
    """A statement with another value; its spelling of the key and the comment at its end stay."""
    whole = "\n".join(lines)
    value = parse(whole + "\n")
    head = next(whole[:at] for at in _places("=", whole) if _is_head(whole[:at], value))
    tail = ""
    for at in _places("#", whole):
        if "\n" not in whole[at:] and _says(whole[:at], value):
            before = whole[:at].rstrip()
            tail = whole[len(before) :]
            break
    if not tail and whole.endswith("\r"):
        tail = "\r"
    return f"{head}= {spelled(raw)}{tail}"


def _places(mark: str, text: str) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(mark), text)]


def _is_head(head: str, value: dict[str, Any]) -> bool:
    """Whether what stands before an equals sign is all of the key."""
    try:
        other = parse(f"{head}= 0")
    except TomlError:
        return False
    return _names(other) == _names(value)[: len(_names(other))]


def _names(raw: Any) -> list[str]:
    """The names down to the first value."""
    names = []
    while isinstance(raw, dict) and len(raw) == 1:
        [(name, raw)] = raw.items()
        names.append(name)
    return names


def _says(text: str, value: dict[str, Any]) -> bool:
    try:
        return parse(text) == value
    except TomlError:
        return False


def _insert(lines: list[str], text: str, key: Key, line: str) -> None:
    """Put a new statement at the end of its table, or the table with it at the end of the file."""
    newline = "\r" if lines[0].endswith("\r") else ""
    found = [s for s in statements(text) if s.table == key.path[:-1]]
    if found:
        lines.insert(found[-1].end, line + newline)
    elif not key.table:
        at = _top(lines, text)
        lines[at:at] = [line + newline] + ([newline] if lines[at].strip() else [])
    else:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += ([""] if lines else []) + [f"[{spelled_key(key.table)}]{newline}", line + newline, ""]


def _top(lines: list[str], text: str) -> int:
    """Where a key of no table can stand: below what the file begins with, above its first table."""
    first = next((s.first for s in statements(text)), None)
    if first is None:
        return len(lines) - 1
    blanks = [at for at in range(first) if not lines[at].strip()]
    return blanks[-1] + 1 if blanks else 0


def _native(key: Key, text: str) -> Any:
    """A text as the number that it spells, where the option takes it for one; a model may be named 7."""
    if isinstance(key.option.parse(text), str):
        return text
    try:
        value = parse(f"x = {text}")["x"] if re.fullmatch(r"[-+0-9._eE]+", text) else text
    except TomlError:
        return text
    return value if isinstance(value, (int, float)) else text
