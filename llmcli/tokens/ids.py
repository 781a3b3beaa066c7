"""Ids as people write them: `1 2 3`, `[1, 2, 3]`, `1,2,3`, one a line."""

from __future__ import annotations

import re

from llmcli.errors import UsageError

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
