"""Names that a user gives to sessions and branches: one line of text, and never a path."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from datetime import datetime

from llmcli.errors import UsageError

LONGEST = 100
"""Characters of a name."""
FROM_TEXT = 40
"""Characters of a name that is taken from a text."""


def checked_name(name: str, what: str = "session") -> str:
    """`name` in Unicode's composed form, without blanks around it.

    Raises UsageError for one that is empty, too long, a path, or holds control characters.

    >>> checked_name(" my notes ")
    'my notes'
    """
    hint = f"a {what}'s name is one line of up to {LONGEST} characters, without slashes"
    shown = unicodedata.normalize("NFC", name).strip()
    if not shown:
        raise UsageError(f"a {what} needs a name", hint=hint)
    if len(shown) > LONGEST:
        raise UsageError(f"the {what}'s name has {len(shown)} characters", hint=hint)
    if any(c in "/\\" for c in shown) or shown in (".", "..") or shown.startswith("~"):
        raise UsageError(f"{name!r} is a path, not the name of a {what}", hint=hint)
    if any(_is_control(c) for c in shown):
        raise UsageError(f"{name!r} holds control characters", hint=hint)
    return shown


def name_from(text: str, taken: Collection[str], now: datetime) -> str:
    """A name not taken yet for a conversation that begins with `text`; where that says nothing, the time.

    >>> name_from("What is\\na token?", ["What is a token?"], datetime(2026, 1, 2, 3, 4))
    'What is a token? 2'
    """
    plain = "".join(" " if c in "/\\" or _is_control(c) else c for c in text[: 10 * FROM_TEXT])
    words = unicodedata.normalize("NFC", " ".join(plain.split())).lstrip("~. -")
    short = words[:FROM_TEXT]
    if len(words) > FROM_TEXT and " " in short[FROM_TEXT // 2 :]:
        short = short[: short.rindex(" ")]
    name = short.strip() or now.strftime("%Y-%m-%d %H.%M")
    return next(n for n in _numbered(name, len(taken)) if n not in taken)


def _numbered(name: str, n_taken: int) -> list[str]:
    return [name, *(f"{name} {number}" for number in range(2, n_taken + 3))]


def _is_control(character: str) -> bool:
    """Control and format characters, line ends, surrogates; not the joiner that emoji are made with."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character != "\u200d"
