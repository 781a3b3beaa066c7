"""What sessions and branches are called."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.chat.names import LONGEST, checked_name, name_from
from llmcli.errors import UsageError


@pytest.mark.parametrize("name", ["notes", "오늘의 메모", "日記", "a.b", "👩‍👩‍👧", "x" * LONGEST, "C: or D:"])
def test_allowed(name: str) -> None:
    """A line of text of any script."""
    assert checked_name(f" {name} ") == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "needs a name"),
        ("  ", "needs a name"),
        ("a/b", "is a path"),
        ("..", "is a path"),
        (".", "is a path"),
        ("/etc/passwd", "is a path"),
        ("a\\b", "is a path"),
        ("~", "is a path"),
        ("a\nb", "control characters"),
        ("a\x1b[31m", "control characters"),
        ("a\x00", "control characters"),
        ("a\u202eb", "control characters"),
        ("a\x9b", "control characters"),
        ("\udc80", "control characters"),
        ("x" * (LONGEST + 1), "has 101 characters"),
    ],
)
def test_refused(name: str, words: str) -> None:
    """With the reason."""
    with pytest.raises(UsageError, match=words):
        checked_name(name)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_one_is_found_for_every_beginning(text: str, taken: list[str]) -> None:
    """Whatever a conversation begins with: a name that is allowed, and not taken."""
    now = datetime(2026, 1, 2, 3, 4)
    first = name_from(text, taken, now)
    assert checked_name(first) == first
    assert first not in taken
    assert name_from(text, [*taken, first], now) != first


def test_a_name_from_a_text() -> None:
    """Its first words; of a text that says nothing, the time."""
    now = datetime(2026, 1, 2, 3, 4)
    assert name_from("What does top-p do,\nand why?", [], now) == "What does top-p do, and why?"
    assert (
        name_from("one two three four five six seven eight nine", [], now)
        == "one two three four five six seven eight"
    )
    assert name_from("\n", [], now) == "2026-01-02 03.04"
