"""Words in everything that was said, with the trigram index and where SQLite has none."""

from __future__ import annotations

import sqlite3

import pytest

from llmcli.chat.messages import Message
from llmcli.chat.store import Store
from llmcli.chat.tree import Made, Node, Tree
from llmcli.errors import UsageError
from tests.chat.trees import talk_of


@pytest.fixture(params=["index", "no index"])
def talks(store: Store, request: pytest.FixtureRequest) -> Store:
    """Some sessions; once with an SQLite that has no trigram index."""
    store.save(store.create("fox"), talk_of("The quick brown Fox", "jumps over the lazy dog"), 0)
    store.save(store.create("날씨"), talk_of("오늘 날씨가 좋습니다", "네, 산책 가요"), 0)
    if request.param == "no index":
        # Where FTS5 is missing, this is what CREATE VIRTUAL TABLE comes to.
        store._db.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == 29 else sqlite3.SQLITE_OK
        )
    return store


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fox", ["fox"]),
        ("BROWN quick", ["fox"]),
        ("uick", ["fox"]),
        ("fox dog", []),
        ("the", ["fox", "fox"]),
        ("날씨", ["날씨"]),
        ("날씨가 좋습", ["날씨"]),
        ("산책", ["날씨"]),
        ('"', []),
        ("fox OR dog", []),
        ("x", ["fox"]),
        ("%", []),
    ],
)
def test_finds(talks: Store, words: str, found: list[str]) -> None:
    """Parts of words, in any case, all of them in one message; nothing in them is a language."""
    assert [one.session for one in talks.search(words)] == found


def test_finds_what_came_later(talks: Store) -> None:
    """Also after a search, and a reply that is not finished."""
    assert not talks.search("penguin")
    saved = talks.save(talks.create("later"), talk_of("a penguin"), 0)
    assert len(talks.search("penguin")) == 1
    talks.grow(saved, 1, Node(Message("assistant", "penguins are"), 0, made=Made()))
    assert {(one.session, one.number) for one in talks.search("penguin")} == {("later", 0), ("later", 1)}


def test_does_not_find_what_was_rolled_back(talks: Store) -> None:
    """A message that a turn took back."""
    saved = talks.save(talks.create("later"), talk_of("a penguin"), 0)
    assert talks.search("penguin")
    talks.save(saved, Tree(), 0)
    assert not talks.search("penguin")


def test_nothing_to_search_for(talks: Store) -> None:
    """Is a usage error."""
    with pytest.raises(UsageError, match="nothing to search for"):
        talks.search(" ")


def test_search_finds_what_stands_behind_a_nul(store: Store) -> None:
    """The index reads no further than that, so such a message is read through."""
    store.save(store.create("bytes"), talk_of("one\0two xylophone"), 0)
    assert [found.content for found in store.search("xylophone")] == ["one\0two xylophone"]
