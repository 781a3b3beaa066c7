"""Walking the tree of a conversation in a real terminal, and sessions that are there again afterwards."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal
from tests.models import CHATML
from tests.repl.screen import Open, at_prompt, prompts, says, user_messages

ANY = ("--grammar", "root ::= [a-z] [a-z] [a-z] [a-z]", "--temp", "2")
"""A reply is four letters, and hardly ever the same ones."""


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL and waits for its prompt."""
    with ExitStack() as stack:

        def chat(*args: object) -> Terminal:
            terminal = stack.enter_context(Terminal(llmcli, "chat", *ANY, *args))
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat


def leave(terminal: Terminal) -> None:
    terminal.send(CTRL_D)
    assert terminal.ends() == 0


def reply(terminal: Terminal, line: str) -> str:
    """What is answered to a line, without notices."""
    return says(terminal, line).splitlines()[-1]


class TestTheTree:
    """Nothing that was said is lost."""

    def test_a_retry_keeps_the_old_reply(self, chat: Open) -> None:
        """Both are branches, and /tree N goes to the old one."""
        terminal = chat()
        old, new = reply(terminal, "hello"), reply(terminal, "/retry")
        assert says(terminal, "/tree").splitlines() == [
            f"1  2 messages  hello > {old}",
            f"*  2  main  2 messages  hello > {new}",
        ]
        assert says(terminal, "/tree 1").startswith("*  1")
        assert f"tokens  {old}" in says(terminal, "/context")
        assert "error: there is no branch 3" in says(terminal, "/tree 3")

    def test_edit(self, chat: Open) -> None:
        """Something else in the last message's place, at once or at the prompt; the first stays a branch."""
        terminal = chat()
        reply(terminal, "one")
        reply(terminal, "/edit two")
        assert user_messages(terminal) == ["two"]
        says(terminal, "/edit")
        terminal.sees(">>> two")
        says(terminal, " three")
        assert user_messages(terminal) == ["two three"]
        rows = says(terminal, "/tree").splitlines()
        assert [row.partition(" > ")[0].split("  ")[-1] for row in rows] == ["one", "two", "two three"]

    def test_an_edit_that_is_given_up(self, chat: Open) -> None:
        """A command in between: what comes next is a message like any other."""
        terminal = chat()
        assert "error: there is no message to edit" in says(terminal, "/edit")
        reply(terminal, "one")
        says(terminal, "/edit")
        terminal.sees(">>> one")
        terminal.send("\x15")
        says(terminal, "/stats")
        says(terminal, "two")
        assert user_messages(terminal) == ["one", "two"]

    def test_fork(self, chat: Open) -> None:
        """A branch with a name; the other one is where it was."""
        terminal = chat()
        reply(terminal, "one")
        assert says(terminal, "/fork aside") == "now on the branch 'aside'; 'main' stays"
        reply(terminal, "two")
        rows = says(terminal, "/tree").splitlines()
        assert re.match(r"1  main  2 messages  one > ", rows[0])
        assert re.match(r"\*  2  aside  4 messages  two > ", rows[1])
        says(terminal, "/tree 1")
        assert user_messages(terminal) == ["one"]
        assert "error: there is already a branch called 'aside'" in says(terminal, "/fork aside")
        assert "error: a branch needs a name" in says(terminal, "/fork")

    def test_undo_and_clear_leave_what_was_said(self, chat: Open) -> None:
        """Both step back, and /tree goes there again."""
        terminal = chat()
        reply(terminal, "one")
        says(terminal, "/clear")
        assert user_messages(terminal) == []
        assert "error: there is nothing to undo" in says(terminal, "/undo")
        says(terminal, "/tree 2")
        assert user_messages(terminal) == ["one"]


class TestSessions:
    """What was said is there again."""

    def test_a_conversation_goes_on_with_all_its_branches(self, chat: Open) -> None:
        """Without being asked to, it is saved, under its first words; --continue shows its last turn."""
        first = chat()
        old = reply(first, "hello fox")
        new = reply(first, "/retry")
        assert says(first, "/save") == "saved as 'hello fox'"
        leave(first)
        second = chat("--continue")
        assert f">>> hello fox\n{new}\n" in second.shown
        assert user_messages(second) == ["hello fox"]
        assert f"hello fox > {old}" in says(second, "/tree")

    def test_commands(self, chat: Open) -> None:
        """Naming, leaving, listing, opening."""
        terminal = chat("-sys", "Be a fox.")
        reply(terminal, "one")
        assert says(terminal, "/save first") == "saved as 'first'"
        says(terminal, "/new")
        assert "saved with the first message" in says(terminal, "/save")
        reply(terminal, "two")
        assert "error: there is already a session called 'first'" in says(terminal, "/save first")
        assert "is a path" in says(terminal, "/save a/b")
        assert re.search(r"(?s)\n *two +2 .*\n *first +2 ", says(terminal, "/sessions"))
        assert "error: there is no session called 'frist'; nearest: first" in says(terminal, "/load frist")
        says(terminal, "/load first")
        terminal.sees("going on with 'first': 2 messages")
        assert user_messages(terminal) == ["one"]
        assert says(terminal, "/system") == "system: Be a fox."

    def test_export(self, chat: Open, llmcli: Program) -> None:
        """The present branch, or all of them; the file's name says in which format."""
        terminal = chat("--no-save")
        old, new = reply(terminal, "hello"), reply(terminal, "/retry")
        says(terminal, "/export talk.md")
        assert (llmcli.home / "talk.md").read_text().endswith(f"## user\n\nhello\n\n## assistant\n\n{new}\n")
        says(terminal, "/export talk.jsonl --all")
        assert old in (llmcli.home / "talk.jsonl").read_text()
        assert "error: usage: /export FILE" in says(terminal, "/export talk.txt")
        assert "written to talk.md" in says(terminal, "/export talk.md")
        other = llmcli.home / "other.md"
        other.write_text("mine")
        assert "error: other.md is there already" in says(terminal, "/export other.md")
        assert other.read_text() == "mine"
        assert "written to other.md" in says(terminal, "/export other.md --all --replace")
        assert old in other.read_text()
        assert "error: this conversation is not saved" in says(terminal, "/save talk")
        assert "error: this conversation is not saved" in says(terminal, "/load talk")

    def test_export_of_bytes_that_are_no_text(self, chat: Open, llmcli: Program) -> None:
        """They become U+FFFD, as in a saved session, and the conversation goes on."""
        terminal = chat("--no-save")
        terminal.send(b"caf\xe9 hi\r")
        terminal.waits(lambda: prompts(terminal) == 2 and at_prompt(terminal), "the next prompt")
        for name in ("talk.md", "talk.json", "talk.html"):
            assert f"written to {name}" in says(terminal, f"/export {name}")
        for name in ("talk.md", "talk.json"):
            assert "caf\ufffd hi" in (llmcli.home / name).read_text(encoding="utf-8")
        leave(terminal)

    def test_two_at_once(self, chat: Open, llmcli: Program) -> None:
        """The second is told who was first, in the REPL and on the command line, until that one ends."""
        first = chat("--session", "notes")
        reply(first, "one")
        words = f"the session 'notes' is open in another llmcli (process {first.pid})"
        llmcli.process("chat", "-p", "x", "--session", "notes").failed(1, words)
        llmcli.process("sessions", "rm", "notes").failed(1, words)
        second = chat()
        assert words in says(second, "/load notes").replace("\n", " ")
        reply(second, "two")
        leave(first)
        says(second, "/load notes")
        assert user_messages(second) == ["one"]

    def test_where_nothing_can_be_saved(self, chat: Open, llmcli: Program) -> None:
        """A notice, and the conversation goes on."""
        (llmcli.home / "data").write_text("in the way")
        terminal = chat()
        terminal.sees("notice: the conversation is not saved")
        assert len(reply(terminal, "hello")) == 4


class TestTrouble:
    """What goes wrong is said and rolled back; the message is at the prompt, and the conversation goes on."""

    def fails(self, terminal: Terminal, message: str, error: str, llmcli: Program) -> None:
        """Send a message that fails, and look at what is left of it."""
        terminal.line(message)
        terminal.sees(f"error: {error}")
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        assert terminal.shown.count(f">>> {message[:60]}") == 2
        before = prompts(terminal)
        terminal.send(CTRL_C)
        terminal.waits(lambda: prompts(terminal) > before and at_prompt(terminal), "an empty prompt")
        assert user_messages(terminal) == ["one"]
        saved = llmcli("sessions", "export", "--all", "--format", "jsonl").records
        assert [m["content"] for m in saved if m["role"] == "user"] == ["one"]

    def test_an_overfull_prompt(self, chat: Open, llmcli: Program) -> None:
        """A message larger than the window."""
        terminal = chat()
        reply(terminal, "one")
        self.fails(terminal, "x1" * 500, "the message has", llmcli)
        assert len(reply(terminal, "two")) == 4

    def test_a_failing_template(self, chat: Open, llmcli: Program) -> None:
        """One that does not like what was said."""
        template = (
            CHATML + "{% if 'boom' in messages[-1].content %}{{ raise_exception('no booming') }}{% endif %}"
        )
        (llmcli.home / "odd.jinja").write_text(template)
        terminal = chat("--chat-template", "odd.jinja")
        reply(terminal, "one")
        self.fails(terminal, "boom", "chat template of odd.jinja: no booming", llmcli)
        assert len(reply(terminal, "two")) == 4

    def test_a_model_that_vanished(self, chat: Open, llmcli: Program, tiny_model: Path) -> None:
        """Its file was cut to nothing; what was said can still be saved elsewhere."""
        model = llmcli.home / "own.gguf"
        model.write_bytes(tiny_model.read_bytes())
        terminal = chat("-m", model)
        reply(terminal, "one")
        os.truncate(model, 100)
        self.fails(terminal, "two", "", llmcli)
        assert "written to talk.md" in says(terminal, "/export talk.md")


class TestAFullDisk:
    """As a limit on the size of files that the test sets and lifts."""

    def limit(self, terminal: Terminal, size: int) -> None:
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_a_message_that_can_t_be_saved(self, chat: Open) -> None:
        """It is said, and the message is at the prompt again; with room on the disk, it is sent."""
        terminal = chat("--session", "notes")
        reply(terminal, "one")
        self.limit(terminal, 1)
        assert "error: " in says(terminal, "two")
        terminal.sees(">>> two", times=2)
        self.limit(terminal, resource.RLIM_INFINITY)
        assert len(says(terminal, "").splitlines()[-1]) == 4
        leave(terminal)
        assert user_messages(chat("--continue")) == ["one", "two"]

    def test_a_pin_that_can_t_be_saved(self, chat: Open) -> None:
        """It holds, and that it is not saved is said; it is saved with the next message."""
        terminal = chat("--session", "notes")
        reply(terminal, "one")
        self.limit(terminal, 1)
        shown = says(terminal, "/pin 0")
        assert "notice: the window is not saved yet: " in shown
        assert "message 0 is pinned" in shown
        assert "error: " not in shown
        self.limit(terminal, resource.RLIM_INFINITY)
        reply(terminal, "two")
        leave(terminal)
        assert "one  (pinned)" in says(chat("--continue"), "/context")

    @pytest.mark.parametrize("says_more", [True, False])
    def test_a_reply_that_can_t_be_saved(
        self, llmcli: Program, wide_model: Path, chat: Open, says_more: bool
    ) -> None:
        """It goes on, is said at its end, and is saved with the next message, or when the user leaves."""
        terminal = chat("-m", wide_model, "-c", "0", "--session", "notes", "--grammar", r'root ::= "x" root')
        terminal.line("go on")
        terminal.sees("xxxxx")
        self.limit(terminal, 1)
        time.sleep(1)
        terminal.interrupt()
        terminal.sees("\nnotice: the reply is not saved")
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        self.limit(terminal, resource.RLIM_INFINITY)
        if says_more:
            says(terminal, '/set grammar root ::= "yes!"')
            assert says(terminal, "and now?") == "yes!"
        leave(terminal)
        first, long, *more = llmcli("sessions", "export", "--format", "jsonl").records
        assert first["content"] == "go on"
        assert [message["content"] for message in more] == ["and now?", "yes!"] * says_more
        assert (long["finish_reason"], set(long["content"])) == ("cancelled", {"x"})
