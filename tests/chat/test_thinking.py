"""Thinking apart from the answer."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmcli.chat.thinking import ThinkingSplitter


def sides(pieces: list[str], *, opened: bool = False) -> tuple[str, str]:
    """The thinking and the answer in a reply that comes in pieces."""
    splitter = ThinkingSplitter(opened=opened)
    stretches = [stretch for piece in pieces for stretch in splitter.push(piece)] + splitter.finish()
    assert all(text for text, _ in stretches), "no stretch is empty"
    thinking, answer = ("".join(text for text, kind in stretches if kind is side) for side in (True, False))
    order = [kind for kind, _ in groupby(kind for _, kind in stretches)]
    assert order in ([], [True], [False], [True, False]), "thinking comes first"
    return thinking, answer


def split_at(text: str, cuts: list[int]) -> list[str]:
    at = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


replies = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<thi", "nk>", "</", "think>", "\n", " ", "hm", "yes", "<", "한"]
    ),
    max_size=10,
).map("".join)


@given(replies, st.lists(st.integers(0, 100), max_size=20), st.booleans())
@example("<think>\nhm\n</think>\n\nyes", list(range(30)), False)
def test_any_split_gives_the_same(text: str, cuts: list[int], opened: bool) -> None:
    """However a reply is cut into pieces, thinking and answer are those of the whole."""
    assert sides(split_at(text, cuts), opened=opened) == sides([text], opened=opened)


@given(replies)
def test_without_the_tag_all_of_it_is_answer(text: str) -> None:
    """A reply that does not begin with <think> is an answer to the last character."""
    if not text.lstrip().startswith("<think>"):
        assert sides([text]) == ("", text)


@pytest.mark.parametrize(
    ("text", "opened", "thinking", "answer"),
    [
        ("<think>hm</think>yes", False, "hm", "yes"),
        ("<think>\nhm\n</think>\n\nyes", False, "hm\n", "yes"),
        ("\n <think>hm</think>yes", False, "hm", "yes"),
        ("<think></think>yes", False, "", "yes"),
        ("<think>\n\n</think>\n\nyes\n", False, "", "yes\n"),
        ("<think>never ends", False, "never ends", ""),
        ("<think>a </thin", False, "a </thin", ""),
        ("<think>a</think>b<think>c</think>", False, "a", "b<think>c</think>"),
        ("yes <think>hm</think>", False, "", "yes <think>hm</think>"),
        ("<thing>", False, "", "<thing>"),
        ("<thi", False, "", "<thi"),
        ("", False, "", ""),
        ("\n\nyes", False, "", "\n\nyes"),
        ("hm</think>yes", True, "hm", "yes"),
        ("\nhm", True, "hm", ""),
        ("hm</think>", True, "hm", ""),
    ],
)
def test_what_is_thinking(text: str, opened: bool, thinking: str, answer: str) -> None:
    """Only what stands between the tags at the head of a reply; the blank lines around them are nobody's."""
    assert sides([text], opened=opened) == (thinking, answer)


def test_what_is_certain_is_shown_at_once() -> None:
    """Text is held back only while it may be the beginning of a tag."""
    splitter = ThinkingSplitter()
    assert splitter.push("<think>hm, ") == [("hm, ", True)]
    assert splitter.push("a < b") == [("a < b", True)]
    assert splitter.push(" </th") == [(" ", True)]
    assert splitter.push("e") == [("</the", True)]
    assert splitter.push("</think>ye") == [("ye", False)]
    assert splitter.push("s <think>") == [("s <think>", False)]
