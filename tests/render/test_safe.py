"""Text that can't drive the terminal, and JSON that says the same."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.render.bars import BAR_WIDTH, bar, percent
from llmcli.render.data import to_json, token_data
from llmcli.render.safe import safe, safe_line
from llmcli.render.tokens import visible_piece

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
any_text = st.text(st.characters(codec=None))


def drives(character: str) -> bool:
    """Whether a character could drive a terminal, asked of Unicode's own tables."""
    return unicodedata.category(character) == "Cc" or character in BIDI


@given(any_text)
def test_nothing_that_drives_a_terminal_is_left(text: str) -> None:
    """C0 but newline and tab, DEL, C1 and bidirectional controls are all gone."""
    assert not [c for c in safe(text) if drives(c) and c not in "\n\t"]
    assert not [c for c in safe_line(text) if drives(c)]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_harmless_text_is_left_as_it_is(text: str) -> None:
    """Letters of any script, marks, signs and emoji come through."""
    assert safe(text) == text


@given(any_text, st.integers(0, 50))
def test_a_sequence_split_over_two_pieces_is_no_less_harmless(text: str, at: int) -> None:
    """Escaping piece by piece is escaping the whole."""
    assert safe(text[:at]) + safe(text[at:]) == safe(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb", r"a\rb"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("two\nlines\t.", "two\nlines\t."),
        ("\udcff", r"\xff"),
    ],
)
def test_escapes_are_readable(text: str, shown: str) -> None:
    """What was there can be read from what is shown."""
    assert safe(text) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_says_exactly_what_was_given_and_drives_nothing(text: str) -> None:
    """Parsing gives the text back, though no control character stands in the JSON but its last newline."""
    written = to_json({"text": text})
    assert json.loads(written) == {"text": text}
    assert not [c for c in written[:-1] if drives(c)]


@given(any_text)
def test_json_is_always_utf8(text: str) -> None:
    """Lone surrogates, which have no UTF-8, become U+FFFD instead of breaking the stream."""
    decoded = json.loads(to_json({"text": text}).encode())["text"]
    assert decoded == "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def test_json_keeps_other_scripts_readable() -> None:
    """ensure_ascii is off: Korean stays Korean."""
    assert to_json({"text": "안녕"}) == '{"text": "안녕"}\n'


def test_a_token_in_json_has_its_text_and_its_bytes() -> None:
    """Half a character is U+FFFD to read, and its bytes are the truth."""
    assert token_data(7, "한".encode()[:2]) == {"id": 7, "text": "\ufffd", "bytes": [0xED, 0x95]}


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        (b" the", "·the"),
        (b"\n\n", r"\n\n"),
        (b"\t", r"\t"),
        ("한".encode()[:2], r"\xed\x95"),
        (b"\x1b", r"\x1b"),
        ("\u200d\ufeff\u00ad".encode(), r"\u200d\ufeff\xad"),
        ("\u00a0\u3000\u2800".encode(), r"\xa0\u3000\u2800"),
        ("\U000e0061\ufe0f".encode(), r"\U000e0061\ufe0f"),
        ("한 🙂".encode(), "한·🙂"),
    ],
)
def test_nothing_in_a_piece_is_invisible(piece: bytes, shown: str) -> None:
    """Spaces, newlines, tabs, controls and parts of characters can all be seen, on one line."""
    assert visible_piece(piece) == shown


@given(st.text(st.characters(codec="utf-8")))
def test_format_characters_and_spaces_of_a_piece_are_spelled(text: str) -> None:
    """But those that Unicode wants to be seen: signs that go round Arabic, Kaithi or Egyptian letters."""
    shown = visible_piece(text.encode())
    seen = re.compile(
        "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]"
    )
    assert not [c for c in shown if unicodedata.category(c) in ("Cf", "Zs", "Zl", "Zp") and not seen.match(c)]


@given(st.floats(0, 1))
def test_a_bar_is_as_long_as_its_probability(prob: float) -> None:
    """To an eighth of a cell, and never longer than the column."""
    drawn = bar(prob)
    eighths = sum(8 if block == "█" else "▏▎▍▌▋▊▉".index(block) + 1 for block in drawn)
    assert len(drawn) <= BAR_WIDTH
    assert eighths == round(prob * BAR_WIDTH * 8)


@pytest.mark.parametrize(
    ("prob", "shown"),
    [(0.0, "0 %"), (1.0, "100.00 %"), (0.61017, "61.02 %"), (0.0001, "0.01 %"), (0.00000123, "1.2e-04 %")],
)
def test_percentages_keep_digits_that_say_something(prob: float, shown: str) -> None:
    """A small probability is not rounded to nothing."""
    assert percent(prob) == shown
