"""A session is open in one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmcli.chat.store import Store
from llmcli.errors import StoreError
from tests.chat.trees import talk_of


def elsewhere(store_path: Path, *lines: str) -> str:
    """What another process prints that does this with the file."""
    code = [
        "from pathlib import Path",
        "from llmcli.chat.store import Store",
        f"store = Store(Path({str(store_path)!r}))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*code, *lines])], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_the_second_is_told_who_has_it(store: Store, store_path: Path) -> None:
    """By its process number; another session can be opened, and this one again when it is closed."""
    saved, other = (store.save(store.create(name), talk_of("hello"), 0) for name in ("notes", "other"))
    store.close_session(other)
    words = elsewhere(store_path, "store.open('other')", "store.open('notes')")
    assert "'notes' is open in another llmcli (process " in words
    assert f"(process {os.getpid()})" in words
    store.close_session(saved)
    assert elsewhere(store_path, "print(store.open('notes').name)") == "notes\n"


def test_nor_can_it_be_removed(store: Store, store_path: Path) -> None:
    """What somebody is talking in."""
    store.create("notes")
    assert "is open in another llmcli" in elsewhere(store_path, "store.remove('notes')")
    assert store.names() == ["notes"]


def test_the_lock_dies_with_its_owner(store: Store, store_path: Path) -> None:
    """However it ends."""
    store.close_session(store.save(store.create("notes"), talk_of("hello"), 0))
    elsewhere(store_path, "store.open('notes')", "import os; os.kill(os.getpid(), 9)")
    assert store.open("notes").name == "notes"


@pytest.mark.parametrize("how", ["close", "remove"])
def test_nobody_has_it_where_the_file_can_t_be_written(store: Store, store_path: Path, how: str) -> None:
    """It is let go of all the same."""
    saved = store.save(store.create("notes"), talk_of("hello"), 0)
    if how == "remove":
        store.close_session(saved)
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="readonly"):
        store.close_session(saved) if how == "close" else store.remove("notes")
    assert elsewhere(store_path, "print(store.open('notes').name)") == "notes\n"


def test_one_that_comes_and_goes_takes_nothing_along(store: Store, store_path: Path) -> None:
    """What is said afterwards in a session that was opened before is in the file for everybody."""
    store.close_session(store.save(store.create("notes"), talk_of("hello"), 0))
    saved = store.open("notes")
    elsewhere(store_path, "store.names()", "store.close()")
    store.save(saved, talk_of("hello", "hi"), 1)
    assert elsewhere(store_path, "print(len(store.read('notes').tree.nodes))") == "2\n"
