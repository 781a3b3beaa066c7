"""Text that is shown: safe for a terminal, JSON that is always UTF-8, bars as long as they should be."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmcli.render.bars import BAR_WIDTH, bar, percent
from llmcli.render.data import to_json, token_data
from llmcli.render.safe import safe, safe_line
from llmcli.render.tokens import visible_piece

ANYTHING = st.text(st.characters())
"""Any characters, lone surrogates among them."""

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
EIGHTHS = {"▏": 1, "▎": 2, "▍": 3, "▌": 4, "▋": 5, "▊": 6, "▉": 7, "█": 8}


def drives_a_terminal(character: str) -> bool:
    """Whether a character is none to be shown: a control, a surrogate, or a bidirectional control."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in BIDI


@given(ANYTHING)
@example("\x1b[31m\x9b2J\x07\u202e\udcff\x7f\r")
def test_no_control_character_survives(text: str) -> None:
    """Of all that could drive a terminal only newline and tab stay; on one line not even these."""
    assert not [c for c in safe(text) if drives_a_terminal(c) and c not in "\n\t"]
    assert not [c for c in safe_line(text) if drives_a_terminal(c)]
    safe(text).encode()


@given(ANYTHING)
def test_safe_text_stays_as_it_is(text: str) -> None:
    """Making it safe once is enough, and what was harmless is not touched."""
    assert safe(safe(text)) == safe(text)
    harmless = "".join(c for c in text if not drives_a_terminal(c) and unicodedata.category(c) != "Cf")
    assert safe(harmless) == harmless


@given(ANYTHING, st.integers(0, 20))
def test_it_makes_no_difference_where_a_text_is_split(text: str, at: int) -> None:
    """A sequence that comes in two tokens is as harmless as one that comes whole."""
    assert safe(text[:at]) + safe(text[at:]) == safe(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("\0\a\b\v\f\r", r"\0\a\b\v\f\r"),
        ("\x9b2J", r"\x9b2J"),
        ("\x7f", r"\x7f"),
        ("\u202e\u2066", r"\u202e\u2066"),
        ("\udcff", r"\xff"),
        ("\ud800", r"\ud800"),
        ("안녕 🦙 é\n\t", "안녕 🦙 é\n\t"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    ],
)
def test_what_is_shown_instead(text: str, shown: str) -> None:
    """Short escapes where there are some, the code where not; joined emoji stay whole."""
    assert safe(text) == shown


@given(st.recursive(ANYTHING | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_json_is_one_line_of_utf_8(data: object) -> None:
    """Whatever is in it, also half a character, which becomes a replacement and breaks nothing."""
    written = to_json({"data": data})
    assert written.endswith("\n")
    assert written.count("\n") == 1
    json.loads(written.encode())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_keeps_every_whole_character(text: str) -> None:
    """What goes in comes out."""
    assert json.loads(to_json(text)) == text


def test_json_has_no_ascii_escapes() -> None:
    """Korean and emoji are readable."""
    assert to_json("안녕🦙") == '"안녕🦙"\n'


@given(st.binary(max_size=12))
def test_a_token_has_its_bytes(piece: bytes) -> None:
    """`bytes` is the truth, `text` for reading."""
    data = token_data(7, piece)
    assert list(data) == ["id", "text", "bytes"]
    assert bytes(data["bytes"]) == piece
    assert data["text"] == piece.decode("utf-8", "replace")


@given(st.binary(max_size=12))
def test_a_piece_is_shown_on_one_line(piece: bytes) -> None:
    """With nothing in it invisible: no blank, no control character."""
    shown = visible_piece(piece)
    assert " " not in shown
    assert not [c for c in shown if drives_a_terminal(c)]


@given(st.floats(0, 1), st.integers(1, 80))
def test_a_bar_is_as_long_as_its_probability(prob: float, width: int) -> None:
    """To an eighth of a cell, and never longer than its column."""
    eighths = sum(EIGHTHS[c] for c in bar(prob, width))
    assert eighths == pytest.approx(prob * width * 8, abs=0.5)
    assert len(bar(prob, width)) <= width


def test_bars_at_their_ends() -> None:
    """Nothing for nothing, the whole column for certainty."""
    assert bar(0) == ""
    assert bar(1) == "█" * BAR_WIDTH
    assert bar(0.5, 1) == "▌"


@pytest.mark.parametrize(
    ("prob", "shown"),
    [
        (0, "0 %"),
        (1, "100.00 %"),
        (0.5, "50.00 %"),
        (0.0001, "0.01 %"),
        (0.00009, "9.0e-03 %"),
        (1e-20, "1.0e-18 %"),
    ],
)
def test_percentages(prob: float, shown: str) -> None:
    """Two digits, or as many as a small one needs."""
    assert percent(prob) == shown
