"""A session on disk: what goes in comes out, and what is removed is gone."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from llmcli.chat.messages import Message
from llmcli.chat.store import Store
from llmcli.chat.tree import Made, Node, fork, undo
from llmcli.errors import StoreError, UsageError
from tests.chat.trees import talk_of


def test_comes_back_as_it_was(store: Store) -> None:
    """All branches, their names, and how each reply was made."""
    tree = fork(talk_of("a", "b", tree=undo(talk_of("안녕\0", "\x1b[31m\n"))), "aside")
    saved = store.save(store.create("notes", model="tiny", system="Be brief."), tree, 0)
    read = store.read("notes")
    assert read == saved
    assert read.tree == tree
    assert (read.model, read.system) == ("tiny", "Be brief.")


def test_only_what_is_new_is_written(store: Store) -> None:
    """What is said to be on disk already stays as it is there; what is behind it is replaced."""
    saved = store.save(store.create("notes"), talk_of("a", "b", "gone"), 0)
    tree = talk_of("ignored", "ignored", "c", "d")
    store.save(saved, tree, 2)
    assert [node.message.content for node in store.read("notes").tree.nodes] == ["a", "b", "c", "d"]


def test_a_reply_that_grows(store: Store) -> None:
    """It is there as far as it has come, without a reason for its end, and the session ends with it."""
    saved = store.save(store.create("notes"), talk_of("a"), 0)
    for text in ("b", "bcd"):
        store.grow(saved, 1, Node(Message("assistant", text), 0, made=Made()))
    tree = store.read("notes").tree
    assert (tree.leaf, tree.nodes[1].message.content) == (1, "bcd")
    assert tree.nodes[1].made == Made(finish_reason=None)


def test_the_last_one_used(store: Store) -> None:
    """The list begins with it; without any, there is nothing to go on with."""
    with pytest.raises(StoreError, match="no session to go on with"):
        store.latest()
    one = store.create("one")
    store.create("two")
    assert store.latest() == "two"
    store.save(one, talk_of("hello", "hi"), 0)
    assert store.latest() == "one"
    assert [(s.name, s.n_messages, s.beginning) for s in store.summaries()] == [
        ("one", 2, "hello"),
        ("two", 0, ""),
    ]


def test_names_are_there_once(store: Store) -> None:
    """Neither a new session nor another takes a name that is taken."""
    one = store.create("one")
    store.create("two")
    with pytest.raises(UsageError, match="already a session"):
        store.create("two")
    with pytest.raises(UsageError, match="already a session"):
        store.rename(one, "two")
    assert store.rename(one, "three").name == "three"
    assert set(store.names()) == {"two", "three"}


def test_one_that_is_not_there(store: Store) -> None:
    """The error names those that are spelled alike."""
    store.create("notes")
    with pytest.raises(StoreError, match="no session called 'note'; nearest: notes"):
        store.read("note")


def test_one_in_which_nothing_was_said_does_not_stay(store: Store, store_path: Path) -> None:
    """Neither when it is closed, nor when the file is; one with a message stays."""
    store.close_session(store.create("one"))
    assert store.names() == []
    store.create("two")
    store.save(store.create("three"), talk_of("hello"), 0)
    store.close()
    with Store(store_path) as again:
        assert again.names() == ["three"]


def test_removed_is_gone(store: Store, store_path: Path) -> None:
    """With every word: nothing of it is left in the files, nor in the index of the search."""
    store.save(store.create("secret"), talk_of("xylophone " * 500, "zeppelin"), 0)
    store.save(store.create("other"), talk_of("kept"), 0)
    assert store.search("xylophone")
    store.remove("secret")
    assert store.names() == ["other"]
    assert store.search("xylophone") == store.search("zeppelin") == []
    store.close()
    left = b"".join(file.read_bytes() for file in store_path.parent.iterdir())
    assert b"xylophone" not in left
    assert b"zeppelin" not in left
    assert b"kept" in left


def test_it_is_nobody_elses(store: Store, store_path: Path) -> None:
    """The folder and every file in it are the user's alone."""
    store.create("notes")
    assert stat.S_IMODE(store_path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in store_path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE session SET leaf = 99",
        "UPDATE message SET parent = 77 WHERE number = 1",
        "UPDATE message SET parent = 1 WHERE number = 1",
        "UPDATE message SET number = number + 5",
        "UPDATE message SET content = x'ff00' WHERE number = 0",
        "DELETE FROM message WHERE number = 0",
        "INSERT INTO branch VALUES (1, 'z', 55)",
    ],
)
def test_a_damaged_session(store: Store, store_path: Path, damage: str) -> None:
    """It is refused, whether it is read or opened, and can be removed."""
    saved = store.create("notes")
    store.save(saved, talk_of("a", "b"), 0)
    store.close_session(saved)
    with sqlite3.connect(store_path) as db:
        db.execute(damage)
    for use in (store.read, store.open, store.open):
        with pytest.raises(StoreError, match="the session 'notes' is damaged"):
            use("notes")
    store.remove("notes")
    assert store.names() == []


def test_one_that_is_removed_meanwhile(store: Store, store_path: Path) -> None:
    """It is an error like others."""
    saved = store.save(store.create("notes"), talk_of("hello"), 0)
    with sqlite3.connect(store_path) as db:
        db.execute("DELETE FROM session")
    with pytest.raises(StoreError, match="removed meanwhile"):
        store.whole(saved)
