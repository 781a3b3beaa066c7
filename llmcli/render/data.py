"""Tokens as JSON: the one shape that every token has, wherever it appears."""

from __future__ import annotations

import json
from typing import Any


def token_data(token_id: int, piece: bytes) -> dict[str, Any]:
    """`id`, `text` for reading (U+FFFD where it is no UTF-8) and `bytes`, the truth."""
    return {"id": token_id, "text": piece.decode("utf-8", "replace"), "bytes": list(piece)}


def to_json(data: Any, *, indent: int | None = None) -> str:
    """JSON in UTF-8, one line unless `indent` is given, with a newline at its end.

    Bytes of arguments that were no UTF-8 have none in JSON either: they become U+FFFD.
    """
    text = json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False)
    return text.encode("utf-8", "replace").decode() + "\n" if _has_surrogates(text) else text + "\n"


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
