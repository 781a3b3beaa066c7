"""A session as it is on disk, and how it is read from there."""

from __future__ import annotations

import json
import operator
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, NamedTuple

from llmcli.chat.messages import Message
from llmcli.chat.schema import transaction
from llmcli.chat.tree import ROOT, Made, Node, Tree
from llmcli.errors import StoreError

BLOCK = 1000
"""How many messages are read at once."""

N_LAST = 2
"""How many messages a glance shows: a turn."""


@dataclass(frozen=True)
class Head:
    """A session as it is on disk, but for what was said. `model` is what -m takes to have it again.

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

    def with_tree(self, tree: Tree) -> Saved:
        """The whole session, of which this is the head."""
        return Saved(**{each.name: getattr(self, each.name) for each in fields(Head)}, tree=tree)


@dataclass(frozen=True)
class Saved(Head):
    """A session as it is on disk."""

    tree: Tree = Tree()


class Glance(NamedTuple):
    """What there is to see of a session without reading all of it.

    How many messages it has on all branches and on the present one, and the last N_LAST of that.
    """

    n_messages: int
    n_on_branch: int
    last: tuple[Node, ...]


def read_head(db: sqlite3.Connection, number: int) -> Head:
    """The session with this number, without its tree. Raises StoreError where it is gone, sqlite3.Error."""
    row = db.execute(_HEAD, (number,)).fetchone()
    if row is None:
        raise StoreError("the session was removed meanwhile", hint="llmcli sessions list shows the others")
    return Head(*readable(row))


def readable(row: Sequence[Any]) -> Iterator[Any]:
    """A row in which texts are bytes, so that none which is no UTF-8 stands in the way of the others."""
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in row)


def read_whole(db: sqlite3.Connection, number: int) -> Saved:
    """The session with this number, all of it as it is at one moment.

    Raises StoreError where it is gone or its tree is none, sqlite3.Error.
    """
    with transaction(db, "DEFERRED"), _told_apart(head := read_head(db, number)):
        return head.with_tree(_tree(db, number))


def read_glance(db: sqlite3.Connection, number: int) -> Glance:
    """What there is to see of the session with this number at once, as it is at one moment.

    Raises StoreError where it is gone or a row that is looked at is none, sqlite3.Error.
    """
    with transaction(db, "DEFERRED"), _told_apart(read_head(db, number)):
        [leaf] = db.execute("SELECT leaf FROM session WHERE id = ?", (number,)).fetchone()
        [n_on_branch] = db.execute(_DEPTH, {"session": number}).fetchone()
        last: list[Node] = []
        while leaf != ROOT and len(last) < N_LAST:
            last[:0] = _read_nodes(db, number, leaf, leaf + 1)
            leaf = last[0].parent
        return Glance(count_messages(db, number), n_on_branch, tuple(last))


@contextmanager
def _told_apart(head: Head) -> Iterator[None]:
    """Say it as a StoreError where rows of a session hold what no llmcli has written."""
    damaged = StoreError(f"the session {head.name!r} is damaged", hint="llmcli sessions rm removes it")
    try:
        yield
    except (LookupError, TypeError, ValueError):
        raise damaged from None
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_UNREADABLE):
            raise
        raise damaged from None


_HEAD = """
    SELECT
        id, CAST(key AS BLOB), CAST(name AS BLOB), CAST(model AS BLOB), CAST(system AS BLOB),
        CAST(created AS REAL), CAST(updated AS REAL), CAST(window AS BLOB)
    FROM session WHERE id = ?
"""
_COLUMNS = """
    SELECT
        json_group_array(number), json_group_array(role),
        json_group_array(CASE typeof(content) WHEN 'text' THEN content END), json_group_array(reasoning),
        json_group_array(parent), json_group_array(printf('%!.17g', created)),
        json_group_array(seed), json_group_array(finish_reason), json_group_array(origin)
    FROM message WHERE session = ? AND number >= ? AND number < ?
"""
_COUNT = "SELECT count(*) FROM message WHERE session = ?"
_UNREADABLE = ("JSON cannot hold", "Could not decode")
"""How SQLite, and Python, begin to complain about a value that is no text and no number."""
_ORIGINS = """
    SELECT id, data FROM origin
    WHERE id IN (SELECT DISTINCT origin FROM message WHERE session = ? AND number >= ? AND number < ?)
"""
_DEPTH = """
    WITH RECURSIVE up (number) AS (
        SELECT leaf FROM session WHERE id = :session AND leaf >= 0
        UNION ALL
        SELECT parent FROM up JOIN message ON session = :session AND message.number = up.number
        WHERE parent >= 0 AND parent < up.number
    )
    SELECT count(*) FROM up
"""


def count_messages(db: sqlite3.Connection, number: int) -> int:
    """How many messages the session with this number has, on all branches."""
    return int(db.execute(_COUNT, (number,)).fetchone()[0])


def _tree(db: sqlite3.Connection, number: int) -> Tree:
    """The tree of a session. Raises what Python does where rows hold what is none."""
    [leaf, branch] = db.execute("SELECT leaf, branch FROM session WHERE id = ?", (number,)).fetchone()
    others = dict(db.execute("SELECT name, tip FROM branch WHERE session = ?", (number,)))
    n = count_messages(db, number)
    nodes: list[Node] = []
    for begin in range(0, n, BLOCK):
        nodes += _read_nodes(db, number, begin, begin + BLOCK)
        if len(nodes) != min(begin + BLOCK, n):
            raise ValueError
    are_names = all(isinstance(name, str) for name in (branch, *others))
    are_ends = all(_is_in(range(ROOT, n), end) for end in (leaf, *others.values()))
    if not (are_names and are_ends):
        raise ValueError
    return Tree(tuple(nodes), leaf, branch, MappingProxyType(others))


def _read_nodes(db: sqlite3.Connection, session: int, begin: int, end: int) -> Iterator[Node]:
    """The messages of a session with the numbers from `begin` to before `end`, as many as there are."""
    place = session, begin, end
    origins = dict(db.execute(_ORIGINS, place))
    if not all(isinstance(json.loads(origin), dict) for origin in origins.values()):
        raise ValueError
    columns = db.execute(_COLUMNS, place).fetchone()
    return _nodes([json.loads(column) for column in columns], origins, begin)


def _nodes(columns: Sequence[Sequence[Any]], origins: Mapping[int, str], begin: int) -> Iterator[Node]:
    """Some rows of a table of messages, one behind the other; the first one's number is `begin`.

    SQLite itself puts them together, as JSON: Python's lock changes hands for each row that is fetched, and
    while a model is loaded other threads want it. Column by column it takes half the time that it does row by
    row.
    """
    # SQLite promises no order; the numbers are all different.
    rows = sorted(zip(*columns, strict=True))
    numbers, roles, contents, reasonings, parents, created, seeds, reasons, begun = zip(*rows, strict=True)
    if numbers != (*range(begin, begin + len(numbers)),):
        raise ValueError
    # Each message follows on an earlier one, or on none: else the way to the first may have no end.
    if {*map(type, contents)} != {str} or {*map(type, parents)} != {int} or min(parents) < ROOT:
        raise ValueError
    if not all(map(operator.lt, parents, numbers)):
        raise ValueError
    made = (
        None if origin is None else Made(seed, reason, origins[origin])
        for seed, reason, origin in zip(seeds, reasons, begun, strict=True)
    )
    messages = map(Message._make, zip(roles, contents, reasonings, strict=True))
    return map(Node._make, zip(messages, parents, map(float, created), made, strict=True))


def _is_in(numbers: range, value: object) -> bool:
    """SQLite keeps a text where a number belongs."""
    return isinstance(value, int) and value in numbers
