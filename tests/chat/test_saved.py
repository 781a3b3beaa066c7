"""A session that is opened at once, and read by another thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from llmcli.chat.messages import Message
from llmcli.chat.store import Store
from llmcli.chat.tree import Tree, append
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
        assert (taken.model, taken.system, taken.tree) == ("tiny", "Be brief.", Tree())
        with ThreadPoolExecutor(1) as thread:
            whole = thread.submit(store.whole, taken).result()
        assert [node.message.content for node in whole.tree.nodes] == ["hello", "Hi."]
        assert replace(whole, tree=Tree()) == taken


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
