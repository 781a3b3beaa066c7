"""The file of sessions: its tables, and how a file of an older llmcli becomes one of this.

`PRAGMA user_version` counts the migrations that a file has been through. New ones go to the list's end.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llmcli.errors import StoreError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE session (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,               -- random: what caches of the session are called
        name TEXT NOT NULL UNIQUE,
        model TEXT NOT NULL,                    -- what -m takes
        system TEXT NOT NULL,
        created REAL NOT NULL,                  -- seconds since 1970
        updated REAL NOT NULL,
        leaf INTEGER NOT NULL,                  -- the number of a message, -1: none
        branch TEXT NOT NULL                    -- the name of the branch that ends at the leaf
    );
    CREATE INDEX session_updated ON session (updated);
    CREATE TABLE origin (
        id INTEGER PRIMARY KEY,
        data TEXT NOT NULL UNIQUE               -- JSON: what replies were made with
    );
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,                -- counts from 0 in each session
        parent INTEGER NOT NULL,                -- the number of the message before it, -1: none
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        reasoning TEXT NOT NULL,
        created REAL NOT NULL,
        origin INTEGER REFERENCES origin (id),
        seed INTEGER,
        finish_reason TEXT,                     -- none in a reply that is not finished
        UNIQUE (session, number)
    );
    CREATE TABLE branch (
        session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        tip INTEGER NOT NULL,
        PRIMARY KEY (session, name)
    ) WITHOUT ROWID;
    """,
    """
    -- whether the search's index has it
    ALTER TABLE message ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX message_unindexed ON message (id) WHERE NOT indexed;
    """,
    """
    -- its pins and cuts: see llmcli.chat.kept_window
    ALTER TABLE session ADD COLUMN window TEXT NOT NULL DEFAULT '';
    """,
)

WAIT = 10.0
"""Seconds to wait for another llmcli that is writing."""


def connect(path: Path, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """A connection to the file at `path`, which is made where there is none, for its owner alone to read.

    Raises StoreError for the file of a newer llmcli, OSError and sqlite3.Error where it can't be opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is removed leaves no trace
        if _version(connection) != len(migrations):
            _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_again(path: Path) -> sqlite3.Connection:
    """Another connection, to read alone, to a file that this process has open. Raises sqlite3.Error.

    SQLite alone opens the file here: whoever closes a descriptor of it lets go of every lock that the process
    has on it, SQLite's own as well, and the next llmcli that leaves would take the write-ahead log along.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT, isolation_level=None
    )


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection, "IMMEDIATE"):
        version = _version(connection)  # another llmcli may have been first
        _refuse_newer(path, version, len(migrations))
        for statements in migrations[version:]:
            for statement in statements.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """A transaction, IMMEDIATE or DEFERRED, which an exception undoes."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _refuse_newer(path: Path, version: int, known: int) -> None:
    if version > known:
        raise StoreError(
            f"{path} was written by a newer llmcli (version {version}, known here: {known})",
            hint="use the newer llmcli, or another LLMCLI_HOME",
        )


def _version(connection: sqlite3.Connection) -> int:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
