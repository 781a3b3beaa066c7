"""Tokens as JSON: the one shape that every token has, wherever it appears."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from llmcli.render.safe import UNSAFE


def token_data(token_id: int, piece: bytes) -> dict[str, Any]:
    """`id`, `text` for reading (U+FFFD where it is no UTF-8) and `bytes`, the truth."""
    return {"id": token_id, "text": piece.decode("utf-8", "replace"), "bytes": list(piece)}


def number(value: float | None) -> float | None:
    """A number for JSON, which has no infinity: null stands for it."""
    return value if value is not None and math.isfinite(value) else None


def to_json(data: Any, *, indent: int | None = None) -> str:
    """JSON in UTF-8, one line unless `indent` is given, with a newline at its end.

    Characters that could drive a terminal are spelled as JSON's own escapes, which changes nothing for who
    reads it. Bytes of arguments that were no UTF-8 have none in JSON either: they become U+FFFD.
    """
    text = json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False) + "\n"
    return UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"
