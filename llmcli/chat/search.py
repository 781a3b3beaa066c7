"""Finding words in everything that was ever said.

Where SQLite has FTS5, an index of all runs of three characters answers in milliseconds; it works for every
script, also where words are not set apart by blanks. It is brought up to date when somebody searches, not
while a reply is written. What it can't answer (words of one or two characters, replies that are not finished,
messages with a NUL, an SQLite without FTS5) is read through.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from llmcli.chat.saved import readable
from llmcli.errors import UsageError

_SHORTEST = 3
"""Characters of a word that the index can find."""
_MOST = 1000
"""Messages that a search gives."""
_READ = """
    SELECT CAST(session.name AS BLOB), number, role, CAST(content AS BLOB), CAST(message.created AS REAL)
    FROM message JOIN session ON session.id = message.session WHERE {} ORDER BY message.id DESC LIMIT ?
"""
_CONTAINS = "contains_all(CAST(content AS BLOB))"


@dataclass(frozen=True)
class Found:
    """A message with the words in it; `number` counts from 0 in its session."""

    session: str
    number: int
    role: str
    content: str
    created: float


def search(db: sqlite3.Connection, text: str) -> list[Found]:
    """The messages in which every word of `text` occurs, the newest first. Raises UsageError for no words."""
    words = text.lower().split()
    if not words:
        raise UsageError("nothing to search for", hint="give a word, or a part of one")

    def contains_all(content: bytes) -> bool:
        said = content.decode("utf-8", "replace").lower()
        return all(word in said for word in words)

    db.create_function("contains_all", 1, contains_all)
    long = [word for word in words if len(word) >= _SHORTEST]
    if not long or not _has_index(db):
        return _read(db, _CONTAINS)
    phrases = " AND ".join('"' + word.replace('"', '""') + '"' for word in long)
    indexed = f"message.id IN (SELECT rowid FROM words WHERE words MATCH ?) AND {_CONTAINS}"
    found = _read(db, indexed, phrases) + _read(db, f"NOT indexed AND {_CONTAINS}")
    return sorted(found, key=lambda one: one.created, reverse=True)[:_MOST]


def _read(db: sqlite3.Connection, where: str, *values: str) -> list[Found]:
    return [Found(*readable(row)) for row in db.execute(_READ.format(where), (*values, _MOST))]


def _has_index(db: sqlite3.Connection) -> bool:
    """Bring the index up to date; False where this SQLite can't, or the file can't be written."""
    try:
        db.execute("BEGIN IMMEDIATE")
        for statement in _INDEX.split(";;"):
            db.execute(statement)
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        return False
    return True


def forget(db: sqlite3.Connection) -> None:
    """Make sure that nothing of deleted messages is left in the index."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone():
        db.execute("INSERT INTO words (words) VALUES ('optimize')")


_INDEX = """
    CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5 (content, content = 'message', content_rowid = 'id', tokenize = 'trigram')
    ;;
    CREATE TRIGGER IF NOT EXISTS words_forget BEFORE DELETE ON message WHEN old.indexed BEGIN
        INSERT INTO words (words, rowid, content) VALUES ('delete', old.id, old.content);
    END
    ;;
    INSERT INTO words (rowid, content)
    SELECT id, content FROM message WHERE {ready}
    ;;
    UPDATE message SET indexed = 1 WHERE {ready}
""".format(
    # FTS5 stops reading at a NUL.
    ready="NOT indexed AND instr(content, char(0)) = 0 AND (role <> 'assistant' OR finish_reason IS NOT NULL)"
)
