"""The file of sessions: what goes in comes out, one process at a time, from any older version."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.chat.messages import Message
from llmcli.chat.names import LONGEST, checked_name, name_from
from llmcli.chat.schema import MIGRATIONS, connect
from llmcli.chat.store import Store
from llmcli.chat.tree import Made, Node, Tree, append, fork, undo
from llmcli.errors import StoreError, UsageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will be, in a folder that is not there yet."""
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A file of sessions."""
    with Store(path) as store:
        yield store


def talk(*texts: str, tree: Tree | None = None) -> Tree:
    """A conversation of these words."""
    tree = tree or Tree()
    for n, text in enumerate(texts):
        if n % 2:
            made = Made(7, "stop", '{"model": "tiny"}')
            tree = append(tree, Message("assistant", text, "hm"), made=made, created=2.5)
        else:
            tree = append(tree, Message("user", text), created=1.5)
    return tree


class TestSessions:
    """A session on disk."""

    def test_comes_back_as_it_was(self, store: Store) -> None:
        """All branches, their names, and how each reply was made."""
        tree = fork(talk("a", "b", tree=undo(talk("안녕\0", "\x1b[31m\n"))), "aside")
        saved = store.save(store.create("notes", model="tiny", system="Be brief."), tree, 0)
        read = store.read("notes")
        assert read == saved
        assert read.tree == tree
        assert (read.model, read.system) == ("tiny", "Be brief.")

    def test_only_what_is_new_is_written(self, store: Store) -> None:
        """What is said to be on disk already stays as it is there; what is behind it is replaced."""
        saved = store.save(store.create("notes"), talk("a", "b", "gone"), 0)
        tree = talk("ignored", "ignored", "c", "d")
        store.save(saved, tree, 2)
        assert [node.message.content for node in store.read("notes").tree.nodes] == ["a", "b", "c", "d"]

    def test_a_reply_that_grows(self, store: Store) -> None:
        """It is there as far as it has come, without a reason for its end, and the session ends with it."""
        saved = store.save(store.create("notes"), talk("a"), 0)
        for text in ("b", "bcd"):
            store.grow(saved, 1, Node(Message("assistant", text), 0, made=Made()))
        tree = store.read("notes").tree
        assert (tree.leaf, tree.nodes[1].message.content) == (1, "bcd")
        assert tree.nodes[1].made == Made(finish_reason=None)

    def test_the_last_one_used(self, store: Store) -> None:
        """The list begins with it; without any, there is nothing to go on with."""
        with pytest.raises(StoreError, match="no session to go on with"):
            store.latest()
        one = store.create("one")
        store.create("two")
        assert store.latest() == "two"
        store.save(one, talk("hello", "hi"), 0)
        assert store.latest() == "one"
        assert [(s.name, s.n_messages, s.beginning) for s in store.summaries()] == [
            ("one", 2, "hello"),
            ("two", 0, ""),
        ]

    def test_names_are_there_once(self, store: Store) -> None:
        """Neither a new session nor another takes a name that is taken."""
        one = store.create("one")
        store.create("two")
        with pytest.raises(UsageError, match="already a session"):
            store.create("two")
        with pytest.raises(UsageError, match="already a session"):
            store.rename(one, "two")
        assert store.rename(one, "three").name == "three"
        assert set(store.names()) == {"two", "three"}

    def test_one_that_is_not_there(self, store: Store) -> None:
        """The error names those that are spelled alike."""
        store.create("notes")
        with pytest.raises(StoreError, match="no session called 'note'; nearest: notes"):
            store.read("note")

    def test_one_in_which_nothing_was_said_does_not_stay(self, store: Store, path: Path) -> None:
        """Neither when it is closed, nor when the file is; one with a message stays."""
        store.close_session(store.create("one"))
        assert store.names() == []
        store.create("two")
        store.save(store.create("three"), talk("hello"), 0)
        store.close()
        with Store(path) as again:
            assert again.names() == ["three"]

    def test_search_finds_what_stands_behind_a_nul(self, store: Store) -> None:
        """The index reads no further than that, so such a message is read through."""
        store.save(store.create("bytes"), talk("one\0two xylophone"), 0)
        assert [found.content for found in store.search("xylophone")] == ["one\0two xylophone"]

    def test_removed_is_gone(self, store: Store, path: Path) -> None:
        """With every word: nothing of it is left in the files, nor in the index of the search."""
        store.save(store.create("secret"), talk("xylophone " * 500, "zeppelin"), 0)
        store.save(store.create("other"), talk("kept"), 0)
        assert store.search("xylophone")
        store.remove("secret")
        assert store.names() == ["other"]
        assert store.search("xylophone") == store.search("zeppelin") == []
        store.close()
        left = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert b"xylophone" not in left
        assert b"zeppelin" not in left
        assert b"kept" in left

    def test_it_is_nobody_elses(self, store: Store, path: Path) -> None:
        """The folder and every file in it are the user's alone."""
        store.create("notes")
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


class TestSearch:
    """Words in everything that was said."""

    @pytest.fixture(params=["index", "no index"])
    def talks(self, store: Store, request: pytest.FixtureRequest) -> Store:
        """Some sessions; once with an SQLite that has no trigram index."""
        store.save(store.create("fox"), talk("The quick brown Fox", "jumps over the lazy dog"), 0)
        store.save(store.create("날씨"), talk("오늘 날씨가 좋습니다", "네, 산책 가요"), 0)
        if request.param == "no index":
            # Where FTS5 is missing, this is what CREATE VIRTUAL TABLE comes to.
            store._db.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_DENY if action == 29 else sqlite3.SQLITE_OK
            )
        return store

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("fox", ["fox"]),
            ("BROWN quick", ["fox"]),
            ("uick", ["fox"]),
            ("fox dog", []),
            ("the", ["fox", "fox"]),
            ("날씨", ["날씨"]),
            ("날씨가 좋습", ["날씨"]),
            ("산책", ["날씨"]),
            ('"', []),
            ("fox OR dog", []),
            ("x", ["fox"]),
            ("%", []),
        ],
    )
    def test_finds(self, talks: Store, words: str, found: list[str]) -> None:
        """Parts of words, in any case, all of them in one message; nothing in them is a language."""
        assert [one.session for one in talks.search(words)] == found

    def test_finds_what_came_later(self, talks: Store) -> None:
        """Also after a search, and a reply that is not finished."""
        assert not talks.search("penguin")
        saved = talks.save(talks.create("later"), talk("a penguin"), 0)
        assert len(talks.search("penguin")) == 1
        talks.grow(saved, 1, Node(Message("assistant", "penguins are"), 0, made=Made()))
        assert {(one.session, one.number) for one in talks.search("penguin")} == {("later", 0), ("later", 1)}

    def test_does_not_find_what_was_rolled_back(self, talks: Store) -> None:
        """A message that a turn took back."""
        saved = talks.save(talks.create("later"), talk("a penguin"), 0)
        assert talks.search("penguin")
        talks.save(saved, Tree(), 0)
        assert not talks.search("penguin")

    def test_nothing_to_search_for(self, talks: Store) -> None:
        """Is a usage error."""
        with pytest.raises(UsageError, match="nothing to search for"):
            talks.search(" ")


class TestTwoProcesses:
    """A session is open in one process at a time."""

    def other(self, path: Path, *lines: str) -> str:
        """What another process prints that does this with the file."""
        code = [
            "from pathlib import Path",
            "from llmcli.chat.store import Store",
            f"store = Store(Path({str(path)!r}))",
        ]
        done = subprocess.run(
            [sys.executable, "-c", "\n".join([*code, *lines])], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def test_the_second_is_told_who_has_it(self, store: Store, path: Path) -> None:
        """By its process number; another session can be opened, and this one again when it is closed."""
        saved, other = (store.save(store.create(name), talk("hello"), 0) for name in ("notes", "other"))
        store.close_session(other)
        words = self.other(path, "store.open('other')", "store.open('notes')")
        assert "'notes' is open in another llmcli (process " in words
        assert f"(process {os.getpid()})" in words
        store.close_session(saved)
        assert self.other(path, "print(store.open('notes').name)") == "notes\n"

    def test_nor_can_it_be_removed(self, store: Store, path: Path) -> None:
        """What somebody is talking in."""
        store.create("notes")
        assert "is open in another llmcli" in self.other(path, "store.remove('notes')")
        assert store.names() == ["notes"]

    def test_one_that_comes_and_goes_takes_nothing_along(self, store: Store, path: Path) -> None:
        """What is said afterwards in a session that was opened before is in the file for everybody."""
        store.close_session(store.save(store.create("notes"), talk("hello"), 0))
        saved = store.open("notes")
        self.other(path, "store.names()", "store.close()")
        store.save(saved, talk("hello", "hi"), 1)
        assert self.other(path, "print(len(store.read('notes').tree.nodes))") == "2\n"

    def test_one_that_is_removed_meanwhile(self, store: Store, path: Path) -> None:
        """It is an error like others."""
        saved = store.save(store.create("notes"), talk("hello"), 0)
        with sqlite3.connect(path) as db:
            db.execute("DELETE FROM session")
        with pytest.raises(StoreError, match="removed meanwhile"):
            store.whole(saved)

    def test_the_lock_dies_with_its_owner(self, store: Store, path: Path) -> None:
        """However it ends."""
        store.close_session(store.save(store.create("notes"), talk("hello"), 0))
        self.other(path, "store.open('notes')", "import os; os.kill(os.getpid(), 9)")
        assert store.open("notes").name == "notes"


class TestVersions:
    """Files of other versions."""

    def test_an_older_file_is_brought_up_to_date(self, path: Path) -> None:
        """With all that is in it, and its words can be found."""
        old = connect(path, MIGRATIONS[:1])
        old.execute("INSERT INTO session VALUES (1, 'k', 'old', 'tiny', '', 1, 1, 1, 'main')")
        old.execute("INSERT INTO origin VALUES (1, '{}')")
        rows: list[tuple[object, ...]] = [(1, 1, 0, -1, "user", "hello", "", 1, None, None, None)]
        rows += [(2, 1, 1, 0, "assistant", "hi there", "", 1, 1, 7, "stop")]
        old.executemany(f"INSERT INTO message VALUES ({', '.join('?' * 11)})", rows)
        old.close()
        with Store(path) as store:
            tree = store.open("old").tree
            assert [node.message.content for node in tree.nodes] == ["hello", "hi there"]
            assert [found.content for found in store.search("there")] == ["hi there"]

    def test_a_migration_that_fails_changes_nothing(self, path: Path) -> None:
        """The file is as it was, and can be opened again."""
        connect(path, MIGRATIONS[:1]).close()
        with pytest.raises(sqlite3.OperationalError):
            connect(path, (*MIGRATIONS[:1], "CREATE TABLE half (a);\nnonsense"))
        again = connect(path, MIGRATIONS[:1])
        assert not again.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
        again.close()

    def test_a_newer_file_is_refused(self, path: Path) -> None:
        """And not touched."""
        connect(path, (*MIGRATIONS, "CREATE TABLE newer (a)")).close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="written by a newer llmcli"):
            Store(path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        "content", [b"no database at all, but text", b"SQLite format 3\0" + b"\xff" * 4000]
    )
    def test_a_damaged_file_is_an_error(self, path: Path, content: bytes) -> None:
        """That names the file, and leaves it as it is."""
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(StoreError, match=r"sessions\.db"):
            Store(path).names()
        assert path.read_bytes() == content

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_file_that_may_not_be_written(self, store: Store, path: Path) -> None:
        """What would help is said."""
        path.chmod(0o400)
        with pytest.raises(StoreError, match="Permission denied") as raised:
            Store(path)
        assert "LLMCLI_HOME" in raised.value.hint


class TestNames:
    """What sessions and branches are called."""

    @pytest.mark.parametrize(
        "name", ["notes", "오늘의 메모", "日記", "a.b", "👩‍👩‍👧", "x" * LONGEST, "C: or D:"]
    )
    def test_allowed(self, name: str) -> None:
        """A line of text of any script."""
        assert checked_name(f" {name} ") == name

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("", "needs a name"),
            ("  ", "needs a name"),
            ("a/b", "is a path"),
            ("..", "is a path"),
            (".", "is a path"),
            ("/etc/passwd", "is a path"),
            ("a\\b", "is a path"),
            ("~", "is a path"),
            ("a\nb", "control characters"),
            ("a\x1b[31m", "control characters"),
            ("a\x00", "control characters"),
            ("a\u202eb", "control characters"),
            ("a\x9b", "control characters"),
            ("\udc80", "control characters"),
            ("x" * (LONGEST + 1), "has 101 characters"),
        ],
    )
    def test_refused(self, name: str, words: str) -> None:
        """With the reason."""
        with pytest.raises(UsageError, match=words):
            checked_name(name)

    @given(st.text(), st.lists(st.text(), max_size=3))
    def test_one_is_found_for_every_beginning(self, text: str, taken: list[str]) -> None:
        """Whatever a conversation begins with: a name that is allowed, and not taken."""
        now = datetime(2026, 1, 2, 3, 4)
        first = name_from(text, taken, now)
        assert checked_name(first) == first
        assert first not in taken
        assert name_from(text, [*taken, first], now) != first

    def test_a_name_from_a_text(self) -> None:
        """Its first words; of a text that says nothing, the time."""
        now = datetime(2026, 1, 2, 3, 4)
        assert name_from("What does top-p do,\nand why?", [], now) == "What does top-p do, and why?"
        assert (
            name_from("one two three four five six seven eight nine", [], now)
            == "one two three four five six seven eight"
        )
        assert name_from("\n", [], now) == "2026-01-02 03.04"


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
def test_a_damaged_session(store: Store, path: Path, damage: str) -> None:
    """It is refused, whether it is read or opened, and can be removed."""
    saved = store.create("notes")
    store.save(saved, talk("a", "b"), 0)
    store.close_session(saved)
    with sqlite3.connect(path) as db:
        db.execute(damage)
    for use in (store.read, store.open, store.open):
        with pytest.raises(StoreError, match="the session 'notes' is damaged"):
            use("notes")
    store.remove("notes")
    assert store.names() == []
