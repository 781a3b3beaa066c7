"""`llmcli sessions`, and the options of chat that keep what is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from llmcli.chat.messages import Message
from llmcli.chat.store import Store
from llmcli.chat.tree import append
from tests.cli.program import Program
from tests.cli.terminal import ENTER, Terminal

YES = ("--grammar", 'root ::= "yes"')


def say(llmcli: Program, text: str, *args: object) -> str:
    """One turn; the reply."""
    return llmcli("chat", "-p", text, *YES, *args).succeeded().text.strip()


class TestOptions:
    """--session, --continue and --no-save."""

    def test_a_session_goes_on(self, llmcli: Program) -> None:
        """Each run sees what was said in the ones before, and evaluates it with what is new."""
        alone = llmcli("chat", "-p", "again", *YES, "--json").json
        say(llmcli, "hello", "--session", "notes")
        reply = llmcli("chat", "-p", "again", *YES, "--session", "notes", "--json").json
        assert reply["session"] == "notes"
        assert reply["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]
        messages = llmcli("sessions", "show", "notes", "--json").json["messages"]
        assert [m["content"] for m in messages] == ["hello", "yes", "again", "yes"]

    def test_continue_is_the_last_one(self, llmcli: Program) -> None:
        """Whichever was used last."""
        say(llmcli, "a", "--session", "one")
        say(llmcli, "b", "--session", "two")
        say(llmcli, "c", "--session", "one")
        say(llmcli, "d", "--continue")
        assert [one["name"] for one in llmcli("sessions", "list", "--json").json] == ["one", "two"]
        assert llmcli("sessions", "list", "--json").json[0]["n_messages"] == 6

    def test_nothing_to_continue(self, llmcli: Program) -> None:
        """An error, before the model is loaded."""
        llmcli("chat", "-p", "x", "--continue", "-m", "nowhere.gguf").failed(1, "no session to go on with")

    def test_without_being_asked_nothing_is_kept(self, llmcli: Program) -> None:
        """-p and --turns leave no file."""
        say(llmcli, "hello")
        llmcli("chat", "--turns", "-", *YES, stdin=b"one\ntwo\n").succeeded()
        assert [path for path in llmcli.home.rglob("*") if path.is_file()] == []

    def test_turns_are_saved_when_asked(self, llmcli: Program) -> None:
        """A whole conversation into one session."""
        llmcli("chat", "--turns", "-", *YES, "--session", "notes", stdin=b"one\ntwo\n").succeeded()
        assert llmcli("sessions", "list").text.split("\t")[:2] == ["notes", "4"]

    def test_the_system_message_and_the_model_stay(
        self, llmcli: Program, tiny_model: Path, tmp_path: Path
    ) -> None:
        """A session goes on with both, unless others are named; a model that is gone is an error."""
        model = tmp_path / "own.gguf"
        model.write_bytes(tiny_model.read_bytes())
        say(llmcli, "hello", "--session", "notes", "-sys", "Be a fox.", "-m", model)
        say(llmcli, "again", "--continue")
        session = llmcli("sessions", "show", "--json").json
        assert session["model"] == str(model)
        assert session["messages"][0] == {"role": "system", "content": "Be a fox."}
        model.unlink()
        error = llmcli("chat", "-p", "x", "--continue").failed(1, "the model of the session 'notes' is gone")
        assert "-m goes on with another one" in error.hint
        say(llmcli, "again", "--continue", "-m", tiny_model)

    def test_a_reply_can_be_had_again(self, llmcli: Program) -> None:
        """With what the session says that it was made with."""
        llmcli("chat", "-p", "hello", "-n", "20", "--temp", "1.5", "--session", "notes").succeeded()
        question, reply = llmcli("sessions", "export", "--json").json["messages"]
        made = reply["made_with"]
        assert made["sampling"] == {"temp": 1.5, "predict": 20}
        options = [word for name, value in made["sampling"].items() for word in (f"--{name}", value)]
        again = llmcli(
            "chat", "-m", made["model"], "-p", question["content"], "-s", made["seed"], *options, "--json"
        )
        assert again.json["message"]["content"] == reply["content"]

    @pytest.mark.parametrize("name", ["", "a/b", "..", "a\x1b[31m", "a\nb"])
    def test_names_that_are_refused(self, llmcli: Program, name: str) -> None:
        """As a usage error, and nothing is written."""
        llmcli("chat", "-p", "x", "--session", name).failed(2)
        assert not list(llmcli.home.iterdir())

    @pytest.mark.parametrize(
        "args",
        [("--continue", "--session", "a"), ("--no-save", "--session", "a"), ("--no-save", "--continue")],
    )
    def test_options_that_disagree(self, llmcli: Program, args: tuple[str, ...]) -> None:
        """Are a usage error."""
        llmcli("chat", "-p", "x", *args).failed(2, "can't both be given")

    def test_a_turn_that_fails_leaves_no_message(self, llmcli: Program) -> None:
        """The session stays as it was."""
        say(llmcli, "hello", "--session", "notes")
        llmcli("chat", "-p", "word " * 1000, "--session", "notes").failed(1, "window of 512")
        messages = llmcli("sessions", "show", "--json").json["messages"]
        assert [m["content"] for m in messages] == ["hello", "yes"]

    def test_a_message_without_a_reply_is_left_out(self, llmcli: Program) -> None:
        """As a process that was killed leaves it: said, and what comes next takes its place."""
        say(llmcli, "hello", "--session", "notes")
        with Store(llmcli.home / "data" / "sessions.db") as store:
            saved = store.open("notes")
            store.save(saved, append(saved.tree, Message("user", "lost")), 2)
        ran = llmcli("chat", "-p", "again", *YES, "--continue").succeeded()
        assert "the session's last message got no reply" in ran.stderr
        messages = llmcli("sessions", "show", "--json").json["messages"]
        assert [m["content"] for m in messages] == ["hello", "yes", "again", "yes"]
        assert "lost" in llmcli("sessions", "export", "--all").text

    def test_names_are_completed(self, talked: Program) -> None:
        """A shell that completes is told the names, the last one used first."""
        assert talked.process(env={"_LLMCLI_NAMES": "sessions"}).text.split() == ["날씨", "fox"]

    def test_a_damaged_file(self, llmcli: Program) -> None:
        """Who asked for a session is told."""
        (llmcli.home / "data").mkdir()
        (llmcli.home / "data" / "sessions.db").write_text("this is no database " * 100)
        llmcli("chat", "-p", "x", "--session", "notes").failed(1, "file is not a database")


@pytest.fixture
def talked(llmcli: Program) -> Program:
    """llmcli with two sessions."""
    say(llmcli, "What is a fox?", "--session", "fox")
    say(llmcli, "오늘 날씨는?\x1b[31m", "--session", "날씨")
    return llmcli


class TestSessions:
    """The commands."""

    def test_list_in_a_pipe(self, talked: Program) -> None:
        """Tab-separated, with the exact names, the last one used first."""
        rows = [line.split("\t") for line in talked("sessions", "list").succeeded().text.splitlines()]
        assert [(row[0], row[1], row[4]) for row in rows] == [
            ("날씨", "2", r"오늘 날씨는?\x1b[31m"),
            ("fox", "2", "What is a fox?"),
        ]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows[0][3])

    def test_list_and_search_on_a_terminal(self, talked: Program) -> None:
        """A table, and what was found with the word in bold; nothing in them drives the terminal."""
        with Terminal(talked, "sessions", "list") as terminal:
            assert terminal.ends() == 0
            assert re.search(r"session +messages +model +last used +begins with", terminal.shown)
            assert r"\x1b[31m" in terminal.shown
            assert b"\x1b[31m" not in terminal.received
        with Terminal(talked, "sessions", "search", "FOX") as terminal:
            assert terminal.ends() == 0
            assert "fox #0 user: What is a fox?" in terminal.shown
            assert b"\x1b[1mfox\x1b[0m" in terminal.received

    def test_show(self, talked: Program) -> None:
        """What is known of it, and what was said."""
        shown = talked("sessions", "show", "fox").succeeded().text
        assert re.search(r"^session +fox$", shown, re.M)
        assert "user:\nWhat is a fox?\n\nassistant:\nyes\n" in shown

    def test_the_last_one_is_meant_where_none_is_named(self, talked: Program) -> None:
        """By show and export."""
        assert talked("sessions", "show", "--json").json["name"] == "날씨"
        assert talked("sessions", "export").text.startswith("# 날씨\n")

    def test_export(self, talked: Program, tmp_path: Path) -> None:
        """Markdown, JSON, a message a line, or a page in which nothing is markup."""
        assert (
            "## user\n\nWhat is a fox?\n\n## assistant\n\nyes\n" in talked("sessions", "export", "fox").text
        )
        lines = talked("sessions", "export", "fox", "--format", "jsonl").records
        assert [(m["role"], m["content"], m["parent"]) for m in lines] == [
            ("user", "What is a fox?", None),
            ("assistant", "yes", 0),
        ]
        say(talked, "<script>alert(1)</script>", "--session", "fox")
        out = tmp_path / "fox.html"
        assert talked("sessions", "export", "fox", "--format", "html", "-o", out).succeeded().stdout == b""
        page = out.read_text()
        assert "&lt;script&gt;" in page
        assert "<script" not in page

    def test_an_export_is_read_by_tokenize(self, talked: Program, tmp_path: Path) -> None:
        """Its messages are those that --messages reads."""
        out = tmp_path / "fox.json"
        talked("sessions", "export", "fox", "--format", "json", "-o", out).succeeded()
        assert talked("tokenize", "--messages", out).succeeded().stdout

    def test_search(self, talked: Program) -> None:
        """Parts of words in any case, as lines or JSON; exit 1 where nothing is found."""
        assert talked("sessions", "search", "FOX").text.split("\t")[:3] == ["fox", "0", "user"]
        assert [found["session"] for found in talked("sessions", "search", "날씨", "--json").json] == ["날씨"]
        talked("sessions", "search", "wolf").failed(1, "no message has 'wolf' in it")

    def test_rm(self, talked: Program) -> None:
        """All that are named, or, where one is not there, none of them."""
        talked("sessions", "rm", "fox", "nope").failed(1, "no session called 'nope'")
        assert len(talked("sessions", "list", "--json").json) == 2
        talked("sessions", "rm", "fox", "날씨").succeeded()
        assert talked("sessions", "list", "--json").json == []

    def test_rm_of_a_damaged_one(self, talked: Program) -> None:
        """Whoever wants to read it is told to remove it, and can."""
        with Store(talked.home / "data" / "sessions.db") as store:
            store._db.execute("UPDATE message SET content = x'00' WHERE session = 1")
        assert talked("sessions", "show", "fox").failed(1, "'fox' is damaged").hint.endswith("rm removes it")
        talked("sessions", "rm", "fox").succeeded()
        assert [one["name"] for one in talked("sessions", "list", "--json").json] == ["날씨"]

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE session SET system = CAST(x'ff' AS TEXT)",
            "UPDATE session SET system = x'ff', window = x'ff'",
            "UPDATE session SET model = CAST(x'ff' AS TEXT)",
            "UPDATE session SET created = 9e999, updated = 'never'",
            "UPDATE session SET created = -1e18, updated = 1e18",
            "UPDATE message SET created = 9e999",
        ],
    )
    def test_what_is_not_readable_hides_nothing_else(self, talked: Program, damage: str) -> None:
        """No text where a text belongs, or a time that no calendar has: all the rest is shown."""
        with Store(talked.home / "data" / "sessions.db") as store:
            store._db.execute(f"{damage} WHERE id = 1")
        assert "fox" in talked("sessions", "show", "fox").succeeded().text
        messages = talked("sessions", "show", "fox", "--json").json["messages"]
        assert [m["content"] for m in messages][-2:] == ["What is a fox?", "yes"]
        assert len(talked("sessions", "list", "--json").json) == 2
        assert talked("sessions", "export", "fox", "--format", "html").succeeded()

    def test_search_and_list_where_one_is_damaged(self, talked: Program) -> None:
        """Words that are no UTF-8 stand in nobody's way."""
        with Store(talked.home / "data" / "sessions.db") as store:
            store._db.execute("UPDATE message SET content = CAST(x'66ff6f' AS TEXT) WHERE id = 1")
        assert [one["n_messages"] for one in talked("sessions", "list", "--json").json] == [2, 2]
        assert [one["session"] for one in talked("sessions", "search", "f", "--json").json] == ["fox"]
        assert [one["session"] for one in talked("sessions", "search", "오늘", "--json").json] == ["날씨"]

    def test_rm_on_a_terminal_asks(self, talked: Program) -> None:
        """And does nothing without a yes."""
        for answer, left in (("n", 2), ("y", 1)):
            with Terminal(talked, "sessions", "rm", "fox") as terminal:
                terminal.sees("remove fox with 2 messages for ever?")
                terminal.send(answer + ENTER)
                terminal.ends()
            assert len(talked("sessions", "list", "--json").json) == left


class TestTheKeptCache:
    """A session of more than 256 tokens goes on without its prompt being evaluated again."""

    def two_turns(self, llmcli: Program, *args: object) -> Any:
        """A long turn, and in another process a short one; the second reply."""
        say(llmcli, "the quick brown fox " * 40, "--session", "notes", *args)
        return llmcli("chat", "-p", "hello", *YES, "--continue", "--json", *args).succeeded()

    def test_only_the_new_tokens_are_evaluated(self, llmcli: Program) -> None:
        """Exactly those that a conversation without a break evaluates; the cache goes with the session."""
        usage = self.two_turns(llmcli).json["usage"]
        turns = b"the quick brown fox " * 40 + b"\nhello\n"
        unbroken = llmcli("chat", "--turns", "-", *YES, "--json", stdin=turns).records[1]["usage"]
        assert usage == unbroken
        assert usage["evaluated_tokens"] < 30 < 256 < usage["cached_tokens"]
        assert list((llmcli.home / "cache" / "kv").iterdir())
        llmcli("sessions", "rm", "notes").succeeded()
        assert not list((llmcli.home / "cache" / "kv").iterdir())

    def test_not_where_it_is_not_wanted(self, llmcli: Program) -> None:
        """--no-kv-snapshot."""
        usage = self.two_turns(llmcli, "--no-kv-snapshot").json["usage"]
        assert usage["evaluated_tokens"] == usage["prompt_tokens"]
        assert not (llmcli.home / "cache").exists()

    def test_a_damaged_one_is_not_spoken_of(self, llmcli: Program) -> None:
        """But with --debug."""
        self.two_turns(llmcli)
        [path] = (llmcli.home / "cache" / "kv").iterdir()
        path.write_bytes(path.read_bytes()[:-1])
        ran = llmcli("chat", "-p", "hello", *YES, "--continue", "--json").succeeded()
        assert ran.json["usage"]["cached_tokens"] == 0
        assert "cache" not in ran.stderr
        path.write_bytes(b"")
        assert "the kept cache is damaged" in llmcli("--debug", "chat", "-p", "x", *YES, "--continue").stderr
