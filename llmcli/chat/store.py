"""The sessions on disk: one SQLite file, in which every message is a row that knows the message before it.

A session is written by the process that has it open (llmcli.chat.lock), and by no other. What was written is
on disk when the call returns, but for a reply that is still growing: that much a power cut may cost.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any

from llmcli.chat.lock import Locks
from llmcli.chat.messages import USER
from llmcli.chat.saved import (
    Glance,
    Head,
    Saved,
    count_messages,
    read_glance,
    read_head,
    read_whole,
    readable,
)
from llmcli.chat.schema import connect, connect_again, transaction
from llmcli.chat.search import Found, forget, search
from llmcli.chat.tree import MAIN, ROOT, Node, Tree
from llmcli.errors import StoreError, UsageError


@dataclass(frozen=True)
class Summary:
    """A session in a list; `beginning` is its first message."""

    name: str
    model: str
    created: float
    updated: float
    n_messages: int
    beginning: str


class Store:
    """The file of sessions. A context manager. Every call raises StoreError where the file can't be used."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it."""
        self.path = path
        with self._said():
            self._db = connect(path)
            self._locks = Locks(path.with_suffix(".lock"))
        self._open: set[int] = set()

    def create(self, name: str, *, model: str = "", system: str = "") -> Saved:
        """A new session, open in this process. Raises UsageError where the name is taken."""
        now = time.time()
        with self._writing(name):
            cursor = self._db.execute(
                "INSERT INTO session (key, name, model, system, created, updated, leaf, branch)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key := secrets.token_hex(8), name, model, _text(system), now, now, ROOT, MAIN),
            )
        saved = Saved(cursor.lastrowid or 0, key, name, model, system, now, now)
        self._take(saved.id, name)
        return saved

    def open(self, name: str) -> Saved:
        """The session called `name`, which no other process can open from now on.

        Raises StoreError where another has it open, or there is none.
        """
        head = self.take(name)
        try:
            return self.whole(head)
        except StoreError:
            self._release(head.id)
            raise

    def take(self, name: str) -> Head:
        """Open a session, but do not read its tree yet: `whole` does. Raises as `open`."""
        self._take(number := self._id(name), name)
        try:
            with self._said():
                return read_head(self._db, number)
        except StoreError:
            self._release(number)
            raise

    def whole(self, head: Head) -> Saved:
        """A session that was taken, with its tree; any thread may ask. Raises StoreError where it is none."""
        with self._said(), closing(connect_again(self.path)) as db:
            whole = read_whole(db, head.id)
        if whole.key != head.key:
            raise StoreError(f"{self.path}: another file has taken the place of the one that was open")
        return whole

    def glance(self, head: Head) -> Glance:
        """What there is to see of a session that was taken, without reading all of it; else as `whole`."""
        with self._said(), closing(connect_again(self.path)) as db:
            return read_glance(db, head.id)

    def read(self, name: str) -> Saved:
        """The session called `name`, as it is on disk at this moment."""
        number = self._id(name)
        with self._said():
            return read_whole(self._db, number)

    def close_session(self, head: Head) -> None:
        """Let other processes open it again. One in which nothing was said is removed."""
        if head.id in self._open:
            try:
                with self._writing(head.name):
                    self._db.execute(_DELETE_EMPTY, (head.id,))
            finally:
                self._release(head.id)

    def save(self, head: Head, tree: Tree, n_clean: int) -> Saved:
        """Make the session what `head` says, with `tree`, of which `n_clean` nodes are on disk already."""
        now = time.time()
        with self._writing(head.name):
            self._db.execute(
                "UPDATE session SET model = ?, system = ?, updated = ?, leaf = ?, branch = ?, window = ?"
                " WHERE id = ?",
                (head.model, _text(head.system), now, tree.leaf, tree.branch, head.window, head.id),
            )
            self._db.execute("DELETE FROM message WHERE session = ? AND number >= ?", (head.id, n_clean))
            for number in range(n_clean, len(tree.nodes)):
                self._put(head.id, number, tree.nodes[number])
            self._db.execute("DELETE FROM branch WHERE session = ?", (head.id,))
            self._db.executemany(
                "INSERT INTO branch VALUES (?, ?, ?)", [(head.id, *branch) for branch in tree.others.items()]
            )
        return replace(head, updated=now).with_tree(tree)

    def grow(self, head: Head, number: int, node: Node) -> None:
        """Write down how far the reply that will be node `number` has come; the session ends with it now."""
        with self._writing(head.name, durable=False):
            self._put(head.id, number, node)
            self._db.execute("UPDATE session SET leaf = ? WHERE id = ?", (number, head.id))

    def rename(self, head: Head, name: str) -> Head:
        """Give the session another name. Raises UsageError where it is taken."""
        with self._writing(name):
            self._db.execute("UPDATE session SET name = ? WHERE id = ?", (name, head.id))
        return replace(head, name=name)

    def remove(self, name: str) -> str:
        """Delete a session; its key. Raises StoreError as `open`."""
        self._take(number := self._id(name), name)
        try:
            with self._writing(name):
                key = read_head(self._db, number).key
                self._db.execute("DELETE FROM session WHERE id = ?", (number,))
                forget(self._db)
        finally:
            self._release(number)
        # The write-ahead log goes with the last one who reads it, at the latest.
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return key

    def names(self) -> list[str]:
        """The names of all sessions, the last one used first."""
        with self._said():
            rows = self._db.execute("SELECT CAST(name AS BLOB) FROM session ORDER BY updated DESC, id DESC")
            return [name for row in rows for name in readable(row)]

    def latest(self) -> str:
        """The name of the session that was used last. Raises StoreError where there is none."""
        with self._said():
            row = self._db.execute(
                "SELECT name FROM session ORDER BY updated DESC, id DESC LIMIT 1"
            ).fetchone()
        if row is None:
            raise StoreError("there is no session to go on with", hint="--session NAME begins one")
        return str(row[0])

    def has(self, name: str) -> bool:
        """Whether there is a session called `name`."""
        with self._said():
            return self._db.execute("SELECT 1 FROM session WHERE name = ?", (name,)).fetchone() is not None

    def summaries(self) -> list[Summary]:
        """All sessions, the last one used first."""
        with self._said():
            return [Summary(*readable(row)) for row in self._db.execute(_SUMMARIES, (USER,))]

    def n_messages(self, name: str) -> int:
        """How many messages the session called `name` has. Raises StoreError where there is none."""
        number = self._id(name)
        with self._said():
            return count_messages(self._db, number)

    def search(self, text: str) -> list[Found]:
        """The messages in which every word of `text` occurs, upper or lower case, the newest first."""
        with self._said():
            return search(self._db, text)

    def close(self) -> None:
        """Close the file, and all sessions."""
        with suppress(sqlite3.Error):
            self._db.executemany(_DELETE_EMPTY, [(number,) for number in self._open])
            self._db.close()
        self._open.clear()
        self._locks.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, number: int, name: str) -> None:
        with self._said():
            owner = self._locks.take(number)
        if owner is not None:
            by = f" (process {owner})" if owner else ""
            raise StoreError(
                f"the session {name!r} is open in another llmcli{by}",
                hint="close it there, or begin another one",
            )
        self._open.add(number)

    def _release(self, number: int) -> None:
        self._locks.release(number)
        self._open.remove(number)

    def _id(self, name: str) -> int:
        with self._said():
            row = self._db.execute("SELECT id FROM session WHERE name = ?", (name,)).fetchone()
        if row is None:
            near = get_close_matches(name, self.names(), n=3, cutoff=0.5)
            like = f"; nearest: {', '.join(near)}" if near else ""
            raise StoreError(
                f"there is no session called {name!r}{like}", hint="llmcli sessions list shows them"
            )
        return int(row[0])

    def _put(self, session: int, number: int, node: Node) -> None:
        """Write a node, also in the place of what it has grown from."""
        message, made = node.message, node.made
        origin = None
        if made is not None:
            self._db.execute("INSERT OR IGNORE INTO origin (data) VALUES (?)", (made.origin,))
            [origin] = self._db.execute("SELECT id FROM origin WHERE data = ?", (made.origin,)).fetchone()
        values: tuple[Any, ...] = (session, number, node.parent, message.role)
        values += (_text(message.content), _text(message.reasoning), node.created)
        values += (origin, made and made.seed, made and made.finish_reason)
        self._db.execute(_PUT, values)

    @contextmanager
    def _writing(self, name: str, *, durable: bool = True) -> Iterator[None]:
        """A transaction. Only a `durable` one waits until the disk has it."""
        with self._said():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            try:
                with transaction(self._db, "IMMEDIATE"):
                    yield
            except sqlite3.IntegrityError as error:
                if "session.name" not in str(error):
                    raise
                taken = f"there is already a session called {name!r}"
                raise UsageError(taken, hint="choose another name") from None

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Tell what SQLite and the system have to complain about as a StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}", hint=_HINTS.get(str(error), "")) from None
        except OSError as error:
            hint = _NOT_OURS if isinstance(error, PermissionError) else ""
            raise StoreError(f"{self.path}: {error.strerror or error}", hint=hint) from None


_FULL = "make room on the disk, or talk without saving: --no-save"
_NOT_OURS = "see to it that you may write the file and its folder, or name another folder in LLMCLI_HOME"
_HINTS = {
    "attempt to write a readonly database": _NOT_OURS,
    "database or disk is full": _FULL,
    "disk I/O error": _FULL,
    "file is not a database": "the file is damaged, or no file of sessions: move it away to begin a new one",
    "database disk image is malformed": "the file is damaged: move it away to begin a new one",
    "database is locked": "another llmcli is writing for very long",
}
_DELETE_EMPTY = """
    DELETE FROM session WHERE id = ? AND NOT EXISTS (SELECT 1 FROM message WHERE session = session.id)
"""
_PUT = """
    INSERT INTO message
        (session, number, parent, role, content, reasoning, created, origin, seed, finish_reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (session, number) DO UPDATE SET
        content = excluded.content, reasoning = excluded.reasoning, origin = excluded.origin,
        seed = excluded.seed, finish_reason = excluded.finish_reason
"""
_SUMMARIES = """
    SELECT
        CAST(name AS BLOB), CAST(model AS BLOB), CAST(session.created AS REAL), CAST(updated AS REAL),
        (SELECT count(*) FROM message WHERE session = session.id),
        CAST(coalesce(
            (SELECT content FROM message WHERE session = session.id AND role = ? ORDER BY number LIMIT 1), ''
        ) AS BLOB)
    FROM session ORDER BY updated DESC, session.id DESC
"""


def _text(text: str) -> str:
    """Text that has UTF-8: bytes that were none when Python read them become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
