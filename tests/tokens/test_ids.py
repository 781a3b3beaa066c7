"""Ids as people write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.errors import UsageError
from llmcli.tokens.ids import parse_ids

ids_lists = st.lists(st.integers(-(10**17), 10**17))


@given(ids_lists, st.sampled_from([" ", ",", ", ", "\n", "\r\n", "\t", " , "]))
def test_any_separator(ids: list[int], separator: str) -> None:
    """Spaces, commas and newlines separate; brackets may stand around."""
    joined = separator.join(map(str, ids))
    assert parse_ids(joined) == parse_ids(f"[{joined}]") == parse_ids(f"{joined}\n") == ids


@given(ids_lists)
def test_json_and_python_lists(ids: list[int]) -> None:
    """What json.dumps and repr write of a list is read back."""
    assert parse_ids(json.dumps(ids)) == parse_ids(repr(ids)) == ids


@pytest.mark.parametrize("text", ["", " \n ", "[]", ",,"])
def test_nothing(text: str) -> None:
    """No ids at all are no error."""
    assert parse_ids(text) == []


@pytest.mark.parametrize("word", ["x", "1.5", "0x10", "1_000", "--1", "१२", "1e3", "9" * 19, "½", "\x00"])
def test_what_is_no_id_is_named(word: str) -> None:
    """Anything but a whole number is a usage error that quotes it."""
    with pytest.raises(UsageError, match="not a token id") as caught:
        parse_ids(f"1 2 {word} 3")
    assert repr(word)[:20] in caught.value.message


def test_a_long_word_is_quoted_in_part() -> None:
    """A whole file given by mistake does not end up in the message."""
    with pytest.raises(UsageError) as caught:
        parse_ids("x" * 100_000)
    assert len(caught.value.message) < 100
