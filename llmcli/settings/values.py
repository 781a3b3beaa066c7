"""What the text of an option may mean: parsers whose ValueError says which values are allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Parse = Callable[[str], Any]

LARGEST = 3.4e38
"""llama.cpp computes in 32 bits: to it, anything larger is infinite."""

LARGEST_BIAS = 1e9
"""Far above any logit, and several of them added up are still a number."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_REAL = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE
)


def whole(text: str) -> int:
    """A whole number in plain digits. Raises ValueError for all else that Python takes: 1_000, " 5 ", "٥"."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


def real(text: str) -> float:
    """A number in plain digits, an infinity, or NaN. Raises ValueError for all else that Python takes."""
    if not _REAL.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


def number(low: float = -math.inf, high: float = math.inf, *, or_zero: bool = False) -> Parse:
    """A finite number in [low, high]; with `or_zero`, 0 as well."""
    if low == -math.inf:
        allowed = "a finite number"
    else:
        allowed = f"a number from {low:g}" + (" up" if high == math.inf else f" to {high:g}")
    if or_zero:
        allowed = f"0 or {allowed}"

    def parse(text: str) -> float:
        try:
            value = real(text)
        except ValueError:
            value = math.nan
        if or_zero and value == 0:
            return 0.0
        if not abs(value) <= LARGEST or not low <= value <= high:
            raise ValueError(f"must be {allowed}")
        return value

    return parse


def integer(low: int, high: int = 2**31 - 1, **words: Any) -> Parse:
    """A whole number in [low, high], or one of the words, each with the value it stands for."""
    or_words = "".join(f" or {word}" for word in words)

    def parse(text: str) -> Any:
        if text in words:
            return words[text]
        try:
            value = whole(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            # The largest number that C takes is worth saying only to who went beyond it.
            up = " up" if high == 2**31 - 1 and value <= high else f" to {high}"
            raise ValueError(f"must be a whole number from {low}{up}{or_words}")
        return value

    return parse


def choice(*names: str) -> Parse:
    """One of the names."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return text

    return parse


def text_value(text: str) -> str:
    """Any text."""
    return text


def nonempty(text: str) -> str:
    """Any text but the empty one."""
    if not text:
        raise ValueError("must not be empty")
    return text


def file_path(text: str) -> Path:
    """A path; whether something is there shows itself when it is opened."""
    return Path(text)


def logit_bias(text: str) -> tuple[int, float]:
    """`ID+BIAS` or `ID-BIAS`, as llama.cpp writes it: `15+2.5`, `15-inf`."""
    for sign in "+-":
        id_text, found, bias_text = text.partition(sign)
        if found and id_text:
            try:
                token_id, bias = whole(id_text), real(sign + bias_text)
            except ValueError:
                break
            if token_id >= 0 and (bias == -math.inf or abs(bias) <= LARGEST_BIAS):
                return token_id, bias
    raise ValueError(f"must be a token id and a bias up to {LARGEST_BIAS:g}: 15+2.5, 15-1 or 15-inf")


def lora_adapter(text: str) -> tuple[Path, float]:
    """`FILE` or `FILE:SCALE`."""
    path, colon, scale = text.rpartition(":")
    try:
        value = real(scale) if colon else 1.0
    except ValueError:
        colon, value = "", 1.0  # the colon belongs to the path
    if not abs(value) <= LARGEST:
        raise ValueError("must be FILE or FILE:SCALE, the scale a finite number")
    return Path(path if colon else text), value


def proportions(text: str) -> tuple[float, ...]:
    """Numbers separated by commas: `3,1`."""
    try:
        values = tuple(real(part.strip()) for part in text.split(","))
    except ValueError:
        values = (-1.0,)
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError("must be numbers from 0 up, separated by commas: 3,1")
    return values


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas: `CUDA0,CUDA1`."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise ValueError("must be names separated by commas")
    return found


def temperatures(text: str) -> tuple[float, ...]:
    """Temperatures separated by commas: `0,0.5,1,2`; each 0 or at least 0.000001."""
    one = number(1e-6, or_zero=True)
    try:
        return tuple(one(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError(
            "must be temperatures separated by commas, each 0 or from 0.000001 up: 0,0.5,1,2"
        ) from None
