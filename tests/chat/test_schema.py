"""Files of sessions that another version wrote, or nobody."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from llmcli.chat.schema import MIGRATIONS, connect
from llmcli.chat.store import Store
from llmcli.errors import StoreError


def test_an_older_file_is_brought_up_to_date(store_path: Path) -> None:
    """With all that is in it, and its words can be found."""
    old = connect(store_path, MIGRATIONS[:1])
    old.execute("INSERT INTO session VALUES (1, 'k', 'old', 'tiny', '', 1, 1, 1, 'main')")
    old.execute("INSERT INTO origin VALUES (1, '{}')")
    rows: list[tuple[object, ...]] = [(1, 1, 0, -1, "user", "hello", "", 1, None, None, None)]
    rows += [(2, 1, 1, 0, "assistant", "hi there", "", 1, 1, 7, "stop")]
    old.executemany(f"INSERT INTO message VALUES ({', '.join('?' * 11)})", rows)
    old.close()
    with Store(store_path) as store:
        tree = store.open("old").tree
        assert [node.message.content for node in tree.nodes] == ["hello", "hi there"]
        assert [found.content for found in store.search("there")] == ["hi there"]


def test_a_migration_that_fails_changes_nothing(store_path: Path) -> None:
    """The file is as it was, and can be opened again."""
    connect(store_path, MIGRATIONS[:1]).close()
    with pytest.raises(sqlite3.OperationalError):
        connect(store_path, (*MIGRATIONS[:1], "CREATE TABLE half (a);\nnonsense"))
    again = connect(store_path, MIGRATIONS[:1])
    assert not again.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    again.close()


def test_a_newer_file_is_refused(store_path: Path) -> None:
    """And not touched."""
    connect(store_path, (*MIGRATIONS, "CREATE TABLE newer (a)")).close()
    before = store_path.read_bytes()
    with pytest.raises(StoreError, match="written by a newer llmcli"):
        Store(store_path)
    assert store_path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all, but text", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_file_is_an_error(store_path: Path, content: bytes) -> None:
    """That names the file, and leaves it as it is."""
    store_path.parent.mkdir()
    store_path.write_bytes(content)
    with pytest.raises(StoreError, match=r"sessions\.db"):
        Store(store_path).names()
    assert store_path.read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written(store: Store, store_path: Path) -> None:
    """What would help is said."""
    store_path.chmod(0o400)
    with pytest.raises(StoreError, match="Permission denied") as raised:
        Store(store_path)
    assert "LLMCLI_HOME" in raised.value.hint
