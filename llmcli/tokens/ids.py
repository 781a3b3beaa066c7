"""Ids as people and programs write them: `1 2 3`, `[1, 2, 3]`, `1,2,3`, one a line, JSON lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from llmcli.errors import InputError, UsageError
from llmcli.tokens.records import Source, separated

LONGEST = 18
"""Digits of the longest number that may be an id."""
_SEPARATORS = re.compile(r"[\s,\[\]]+")
_WHOLE = re.compile(r"[+-]?[0-9]+")


def parse_ids(text: str) -> list[int]:
    """The ids in `text`, in any of the spellings above. Raises UsageError naming what is no id."""
    ids = []
    for word in _SEPARATORS.split(text):
        if not word:
            continue
        if not _WHOLE.fullmatch(word):
            raise UsageError(
                f"not a token id: {word[:40]!r}", hint="ids are whole numbers: 1 2 3 or [1, 2, 3]"
            )
        if len(word.lstrip("+-")) > LONGEST:
            raise UsageError(f"not a token id: {word[:40]!r}", hint="no vocabulary has so many tokens")
        ids.append(int(word))
    return ids


def read_ids(source: Source) -> Iterator[list[int]]:
    """The ids of a stream: of each record where it holds JSON objects; else all together.

    An object is on a line of its own, or indented over several as `tokenize --json` writes it. A byte order
    mark at the beginning is skipped. Raises UsageError for what is no id, InputError for what is no record.
    """
    lines = _numbered_lines(source)
    for number, line in lines:
        if line.lstrip().startswith(b"{"):
            for where, record in _records(chain([(number, line)], lines), source.name):
                yield _ids_of(record, where)
            return
        if line.strip():
            rest = (line for _, line in lines)
            yield parse_ids(b"\n".join([line, *rest]).decode("utf-8", "replace"))
            return
    yield []


def _numbered_lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Every line with its number, from 1."""
    number = 0
    for batch in separated(source, b"\n"):
        for line in batch.texts() if batch else ():
            number += 1
            yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def _records(lines: Iterable[tuple[int, bytes]], name: str) -> Iterator[tuple[str, Any]]:
    """Each JSON object with where it begins, as soon as its last line is there.

    One that is written over several lines is indented: `{` begins a line only where an object begins.
    """
    held: list[bytes] = []
    where = ""
    for number, line in lines:
        if not held:
            where = f"{name}, line {number}"
        elif line.startswith(b"{"):
            break
        if not (held or line.strip()):
            continue
        held.append(line)
        if len(held) > 1 and not line.rstrip().endswith(b"}"):
            continue
        try:
            record = json.loads(b"\n".join(held))
        except json.JSONDecodeError as error:
            if error.doc[error.pos :].strip():
                raise InputError(f"{where}: not JSON: {error}") from None
            continue  # nothing is wrong but that it does not end here
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON: {error}") from None
        held = []
        yield where, record
    if held:
        raise InputError(f"{where}: not JSON: it has no end")


def _ids_of(record: Any, where: str) -> list[int]:
    ids = record.get("ids") if isinstance(record, dict) else None
    if not isinstance(ids, list):
        raise InputError(f'{where}: no list of ids at "ids"')
    for token_id in ids:
        if not isinstance(token_id, int) or isinstance(token_id, bool):
            raise UsageError(f"{where}: not a token id: {json.dumps(token_id)[:40]}")
    return ids
