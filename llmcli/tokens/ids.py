"""Ids as people and programs write them: `1 2 3`, `[1, 2, 3]`, `1,2,3`, one a line, JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from llmcli.errors import InputError, UsageError
from llmcli.tokens.records import Source, separated

_SEPARATORS = re.compile(r"[\s,\[\]]+")


def parse_ids(text: str) -> list[int]:
    """The ids in `text`, in any of the spellings above. Raises UsageError naming what is no id."""
    ids = []
    for word in _SEPARATORS.split(text):
        if not word:
            continue
        if not re.fullmatch(r"[+-]?\d{1,18}", word, re.ASCII):
            raise UsageError(
                f"not a token id: {word[:40]!r}", hint="ids are whole numbers: 1 2 3 or [1, 2, 3]"
            )
        ids.append(int(word))
    return ids


def read_ids(source: Source) -> Iterator[list[int]]:
    """The ids of a stream: of each record where it holds JSON objects, one a line; else all together.

    Raises UsageError for what is no id, InputError for a line that is no record.
    """
    together: list[bytes] = []
    number = 0
    are_records = False
    for batch in separated(source, b"\n"):
        for line in batch.texts() if batch else ():
            number += 1
            are_records = are_records or (not together and line.lstrip().startswith(b"{"))
            if not are_records:
                if together or line.strip():
                    together.append(line)
            elif line.strip():
                yield _ids_of(line, f"{source.name}, line {number}")
    if not are_records:
        yield parse_ids(b"\n".join(together).decode("utf-8", "replace"))


def _ids_of(line: bytes, where: str) -> list[int]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    ids = record.get("ids") if isinstance(record, dict) else None
    if not isinstance(ids, list):
        raise InputError(f'{where}: no list of ids at "ids"')
    for token_id in ids:
        if not isinstance(token_id, int) or isinstance(token_id, bool):
            raise UsageError(f"{where}: not a token id: {json.dumps(token_id)[:40]}")
    return ids
