"""A session that is opened at once, and read by another thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from llmcli.chat.messages import Message
from llmcli.chat.saved import BLOCK
from llmcli.chat.store import Store
from llmcli.chat.tree import Made, Tree, append
from llmcli.errors import StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one session of two messages."""
    path = tmp_path / "sessions.db"
    tree = append(append(Tree(), Message("user", "hello")), Message("assistant", "Hi."))
    with Store(path) as store:
        saved = store.create("notes", model="tiny", system="Be brief.")
        store.save(saved, tree, 0)
    return path


def test_what_is_known_before_it_is_read(path: Path) -> None:
    """All but the messages; and it is open: no other process may have it."""
    with Store(path) as store:
        taken = store.take("notes")
        assert (taken.model, taken.system) == ("tiny", "Be brief.")
        with ThreadPoolExecutor(1) as thread:
            whole = thread.submit(store.whole, taken).result()
        assert [node.message.content for node in whole.tree.nodes] == ["hello", "Hi."]
        assert taken.with_tree(whole.tree) == whole


def test_a_damaged_one_is_open_until_it_is_read(path: Path) -> None:
    """It can be taken; reading it fails in whatever thread, and `open` leaves it to others then."""
    with Store(path) as store:
        store._db.execute("UPDATE message SET parent = 1 WHERE number = 1")
        taken = store.take("notes")
        with ThreadPoolExecutor(1) as thread, pytest.raises(StoreError, match="'notes' is damaged"):
            thread.submit(store.whole, taken).result()
        store.close_session(taken)
        with pytest.raises(StoreError, match="'notes' is damaged"):
            store.open("notes")
        assert store.take("notes").id == taken.id


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE message SET content = x'00' WHERE number = 1",
        "UPDATE message SET reasoning = x'00' WHERE number = 1",
        "UPDATE message SET content = CAST(x'ff' AS TEXT) WHERE number = 1",
        "UPDATE message SET parent = 'first' WHERE number = 1",
        "UPDATE message SET parent = 0.5 WHERE number = 1",
        "UPDATE message SET seed = 9e999 WHERE number = 1",
        "UPDATE message SET number = 2 WHERE number = 1",
        """
        UPDATE message SET number = 1.5, parent = 1 WHERE number = 1;
        INSERT INTO message (session, number, parent, role, content, reasoning, created)
            VALUES (1, 2, 1, 'user', '', '', 0)
        """,
        "UPDATE message SET number = -1 WHERE number = 0",
        "INSERT INTO message (session, number, parent, role, content, reasoning, created)"
        " VALUES (1, -1, -1, 'user', '', '', 0)",
        "INSERT INTO branch VALUES (1, 'other', 'last')",
        "INSERT INTO branch VALUES (1, x'00', 1)",
        "UPDATE session SET leaf = x'00'",
        "UPDATE session SET branch = x'00'",
        "DELETE FROM origin",
        "UPDATE origin SET data = '[]'",
        "UPDATE origin SET data = x'ff'",
    ],
)
def test_what_no_llmcli_has_written(path: Path, damage: str) -> None:
    """Whatever stands in a row, the session is damaged, and nothing else goes wrong."""
    with Store(path) as store:
        saved = store.open("notes")
        reply = saved.tree.nodes[1]._replace(made=Made(1, "stop", "{}"))
        store.save(saved, replace(saved.tree, nodes=(saved.tree.nodes[0], reply)), 1)
        assert store.whole(saved).tree.nodes[1] == reply
        store._db.execute("PRAGMA foreign_keys = OFF")
        store._db.executescript(damage)
        with pytest.raises(StoreError, match=r"^the session 'notes' is damaged$"):
            store.whole(saved)
        assert store.n_messages("notes") >= 1
        store.remove("notes")
        assert store.names() == []


def test_a_message_that_is_missing(path: Path) -> None:
    """Wherever that is, far from the present branch and where what is read at once ends as well."""
    tree = Tree()
    for number in range(BLOCK + 10):
        tree = append(tree, Message("user", str(number)))
    tree = replace(tree, leaf=0)
    with Store(path) as store:
        saved = store.save(store.create("long"), tree, 0)
        for number in (0, BLOCK - 1, BLOCK):
            store._db.execute("DELETE FROM message WHERE session = ? AND number = ?", (saved.id, number))
            with pytest.raises(StoreError, match="'long' is damaged"):
                store.whole(saved)
            store.save(saved, tree, 0)
        assert store.whole(saved).tree == tree


def test_another_file_in_its_place(path: Path, tmp_path: Path) -> None:
    """Its session of the same number is another one: nobody is given that."""
    with Store(path) as store, Store(tmp_path / "other.db") as other:
        other.create("mine")
        taken = store.take("notes")
        store.path = other.path
        with pytest.raises(StoreError, match="another file has taken the place"):
            store.whole(taken)


def test_every_character_and_moment_comes_back(path: Path) -> None:
    """Whatever a message can hold, in more messages than are read at once, and times to the last digit."""
    moment = 1795318389.6578443
    texts = ["a\0b", '"\\\n\x1f\x7f\u2028', "한국어 😀", "", "[1]", *map(str, range(2 * BLOCK))]
    tree = Tree()
    for number, text in enumerate(texts):
        made = Made(2**32 - number, "stop", '{"model": "tiny"}') if number % 2 else None
        tree = append(tree, Message("assistant" if made else "user", text, text), made=made, created=moment)
    with Store(path) as store:
        store.save(store.create("long"), tree, 0)
        assert store.read("long").tree == tree
