"""Ids as people and programs write them."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.errors import InputError, UsageError
from llmcli.tokens.ids import parse_ids, read_ids
from llmcli.tokens.records import Source

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


def test_a_number_too_large_is_told_so() -> None:
    """It is a whole number; only no vocabulary has it."""
    with pytest.raises(UsageError, match="not a token id") as caught:
        parse_ids("9" * 5000)
    assert caught.value.hint == "no vocabulary has so many tokens"


def test_a_long_word_is_quoted_in_part() -> None:
    """A whole file given by mistake does not end up in the message."""
    with pytest.raises(UsageError) as caught:
        parse_ids("x" * 100_000)
    assert len(caught.value.message) < 100


def read(data: bytes) -> list[list[int]]:
    """The records of a stream."""
    return list(read_ids(Source(io.BytesIO(data), "stdin")))


@given(st.lists(ids_lists, min_size=1, max_size=3), st.sampled_from([None, 1, 2, 4, "\t"]), st.booleans())
def test_objects_on_a_line_or_over_several(records: list[list[int]], indent: object, mark: bool) -> None:
    """JSON objects one after the other are a record each, however they are indented."""
    objects = [{"text": "}\n{", "ids": ids, "more": [{"x": 1}, {}]} for ids in records]
    written = "".join(json.dumps(one, indent=indent) + "\n" for one in objects)  # type: ignore[arg-type]
    assert read(("\ufeff" * mark + written).encode()) == records


@pytest.mark.parametrize("text", ["1 2", "[1, 2]", "1\n2\n", '{"ids": [1, 2]}'])
def test_a_byte_order_mark_is_no_id(text: str) -> None:
    """Some editors and shells put one at the beginning of all they write."""
    assert read(("\ufeff" + text).encode()) == [[1, 2]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"ids": [1]}\n{"ids": [2\n{"ids": [3]}\n', "stdin, line 2: not JSON: it has no end"),
        ('{"ids": [1]}\n{"ids": oops\n', "stdin, line 2: not JSON: Expecting value"),
        ('{\n  "ids": [1]\n', "stdin, line 1: not JSON: it has no end"),
        ('{\n  "ids": [1]\n} {\n}\n', "stdin, line 1: not JSON: Extra data"),
        ('{\n  "no": [1]\n}\n', 'stdin, line 1: no list of ids at "ids"'),
        ('{"ids": [1]}\n[2]\n', 'stdin, line 2: no list of ids at "ids"'),
    ],
)
def test_what_is_no_record_is_named(data: str, words: str) -> None:
    """The line on which the record begins, and what is wrong with it."""
    with pytest.raises(InputError) as caught:
        read(data.encode())
    assert caught.value.message.startswith(words)
