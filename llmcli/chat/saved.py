"""A session as it is on disk, and how it is read from there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType

from llmcli.chat.messages import Message
from llmcli.chat.schema import transaction
from llmcli.chat.tree import Made, Node, Tree, is_whole
from llmcli.errors import StoreError

BLOCK = 1000
"""How many messages are read at once."""


@dataclass(frozen=True)
class Saved:
    """A session as it is on disk. `model` is what -m takes to have the same model again.

    `window` is what llmcli.chat.kept_window makes of its window.
    """

    id: int
    key: str
    name: str
    model: str
    system: str
    created: float
    updated: float
    window: str = ""
    tree: Tree = Tree()


def read_head(db: sqlite3.Connection, number: int) -> Saved:
    """The session with this number, without its tree. Raises StoreError where it is gone, sqlite3.Error."""
    row = db.execute(_HEAD, (number,)).fetchone()
    if row is None:
        raise StoreError("the session was removed meanwhile", hint="llmcli sessions list shows the others")
    return Saved(*row)


def read_whole(db: sqlite3.Connection, number: int) -> Saved:
    """The session with this number, all of it as it is at one moment.

    Raises StoreError where it is gone or its tree is none, sqlite3.Error.
    """
    with transaction(db, "DEFERRED"):
        saved = read_head(db, number)
        [leaf, branch] = db.execute("SELECT leaf, branch FROM session WHERE id = ?", (number,)).fetchone()
        origins = dict(db.execute(_ORIGINS, (number,)))
        try:
            nodes = tuple(_nodes(db, number, origins))
        except (LookupError, TypeError, ValueError):  # what no llmcli has written
            raise _damaged(saved) from None
        except sqlite3.OperationalError as error:
            if not str(error).startswith(_UNREADABLE):
                raise
            raise _damaged(saved) from None
        tips = dict(db.execute("SELECT name, tip FROM branch WHERE session = ?", (number,)))
        n, last = db.execute(_NUMBERS, (number,)).fetchone()
    tree = Tree(nodes, leaf, branch, MappingProxyType(tips))
    if n != len(nodes) or last not in (None, n - 1) or not is_whole(tree):
        raise _damaged(saved)
    return replace(saved, tree=tree)


def _damaged(saved: Saved) -> StoreError:
    return StoreError(f"the session {saved.name!r} is damaged", hint="llmcli sessions rm removes it")


_HEAD = """
    SELECT id, key, name, model, system, created, updated, window FROM session WHERE id = ?
"""
_ROWS = """
    SELECT json_group_array(json_array(
        number, role, CASE typeof(content) WHEN 'text' THEN content END, reasoning, parent,
        printf('%!.17g', created), seed, finish_reason, origin
    ))
    FROM message WHERE session = ? AND number >= ? AND number < ?
"""
_NUMBERS = "SELECT count(*), max(number) FROM message WHERE session = ?"
_UNREADABLE = ("JSON cannot hold", "Could not decode")
"""How SQLite, and Python, begin to complain about a value that is no text and no number."""
_ORIGINS = "SELECT id, data FROM origin WHERE id IN (SELECT DISTINCT origin FROM message WHERE session = ?)"


def _nodes(db: sqlite3.Connection, number: int, origins: Mapping[int, str]) -> Iterator[Node]:
    """The nodes of a session's tree, in order.

    SQLite itself puts many rows together, as JSON: Python's lock changes hands for each row that is fetched,
    and while a model is loaded other threads want it.
    """
    for at in count(step=BLOCK):
        [rows] = db.execute(_ROWS, (number, at, at + BLOCK)).fetchone()
        block = json.loads(rows)
        block.sort()  # SQLite promises no order; the numbers are all different
        for _, role, content, reasoning, parent, created, seed, finish_reason, origin in block:
            made = None if origin is None else Made(seed, finish_reason, origins[origin])
            yield Node(Message(role, content, reasoning), parent, float(created), made)
        if len(block) < BLOCK:
            return
