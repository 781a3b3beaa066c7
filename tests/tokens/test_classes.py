"""What the fast way leaves to llama.cpp: characters that the two class differently, and special tokens."""

from __future__ import annotations

import random

import pytest

from llmcli.tokens.classes import has_unknown
from llmcli.tokens.fast import _finder

NEW = {0x88F, 0xC5C, 0xCDC, *range(0x1C80, 0x1CC0), *range(0xA7C0, 0xA800)}
KNOWN_ASTRAL = {*range(0x1D000, 0x1E000), *range(0x1F000, 0x2A000)}


def unknown(point: int) -> bool:
    """As the module's docstring says it, character by character."""
    return point in NEW or (point > 0xFFFF and point not in KNOWN_ASTRAL)


def test_every_character() -> None:
    """Alone, and among its neighbours, which begin with the same bytes; of the astral ones one of 61."""
    bmp = [point for point in range(0x10000) if not 0xD800 <= point < 0xE000]
    for point in [*bmp, *range(0x10000, 0x110000, 61)]:
        assert has_unknown(chr(point).encode()) == unknown(point), hex(point)
    for at in range(0, len(bmp), 32):
        some = bmp[at : at + 32]
        assert has_unknown("".join(map(chr, some)).encode()) == any(map(unknown, some)), hex(some[0])


@pytest.mark.parametrize(
    "specials",
    [
        ["<|a|>", "<|ab|>", "</s>"],
        ["[PAD1]", "[PAD22]", "[P]", "<x>"],
        ["<", "<s>"],
        ["é!", "éa"],
        [f"{letter}{letter}" for letter in "abcdefghij"],
        [],
    ],
)
def test_special_tokens_are_found(specials: list[str]) -> None:
    """Wherever they stand, and nothing is found where none does."""
    rng = random.Random(0)
    find = _finder([special.encode() for special in specials])
    parts = ["x", " ", "<", "|", "é", "[P", *specials, *(special[:-1] for special in specials)]
    for _ in range(500):
        text = "".join(rng.choices(parts, k=3))
        assert bool(find(text.encode())) == any(special in text for special in specials), text
