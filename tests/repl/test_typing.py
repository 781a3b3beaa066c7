"""The line that a person types on, in a real terminal, and the history of such lines."""

from __future__ import annotations

import re
import stat

import pytest

from tests.cli.program import Program
from tests.cli.terminal import (
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    CTRL_J,
    ENTER,
    PASTE_BEGINS,
    PASTE_ENDS,
    TAB,
    UP,
)
from tests.repl.screen import Open, at_prompt, prompts, says, used, user_messages


class TestTyping:
    """The line that is typed on."""

    def test_a_message_is_answered(self, chat: Open) -> None:
        """Enter sends; the reply is shown, and the window fills."""
        terminal = chat()
        assert says(terminal, "hello") == "yes!"
        assert used(terminal) > 10

    def test_several_lines(self, chat: Open) -> None:
        """Alt-Enter and Ctrl-J add a line; Enter sends them all as one message."""
        terminal = chat()
        terminal.send(f"one{ALT_ENTER}two{CTRL_J}")
        assert says(terminal, "three").endswith("yes!")
        assert user_messages(terminal) == [r"one\ntwo\nthree"]

    def test_a_pasted_newline_does_not_send(self, chat: Open) -> None:
        """A pasted text waits at the prompt until Enter is pressed."""
        terminal = chat()
        terminal.send(f"{PASTE_BEGINS}first\nsecond\n{PASTE_ENDS}third")
        terminal.sees("third")
        assert "yes!" not in terminal.shown
        assert says(terminal, "").endswith("yes!")
        assert user_messages(terminal) == [r"first\nsecond\nthird"]

    @pytest.mark.parametrize("text", ["안녕하세요 세계", "こんにちは世界", "🦙 emoji 😀"])
    def test_other_scripts(self, chat: Open, text: str) -> None:
        """Korean, Japanese and emoji arrive as they were typed."""
        terminal = chat()
        says(terminal, text)
        assert [re.sub(" +", " ", m) for m in user_messages(terminal)] == [text]

    def test_nothing_is_no_message(self, chat: Open) -> None:
        """An empty line, or blanks alone, is not sent."""
        terminal = chat()
        says(terminal, "")
        says(terminal, "   ")
        assert user_messages(terminal) == []

    def test_ctrl_c_clears_the_line(self, chat: Open) -> None:
        """At the prompt it takes away what was typed, and nothing else."""
        terminal = chat()
        terminal.send("not this")
        terminal.sees("not this")
        terminal.send(CTRL_C)
        terminal.waits(lambda: prompts(terminal) == 2 and at_prompt(terminal), "a new prompt")
        says(terminal, "but this")
        assert user_messages(terminal) == ["but this"]

    def test_ctrl_d_leaves(self, chat: Open) -> None:
        """Exit code 0."""
        terminal = chat()
        says(terminal, "hello")
        terminal.send(CTRL_D)
        assert terminal.ends() == 0

    def test_exit_leaves(self, chat: Open) -> None:
        """So does the command."""
        terminal = chat()
        terminal.line("/exit")
        assert terminal.ends() == 0

    def test_tab_completes_commands(self, chat: Open) -> None:
        """The rest of a unique beginning is filled in."""
        terminal = chat()
        terminal.send(f"/conte{TAB}")
        terminal.sees("/context")
        terminal.send(ENTER)
        terminal.sees("the window holds 0 of 512 tokens")


class TestHistory:
    """What was typed comes back, if the user wants it to."""

    def test_it_is_kept_over_runs_for_the_user_alone(self, chat: Open, llmcli: Program) -> None:
        """In a file that nobody else can read; the arrow key brings it back in the next run."""
        first = chat()
        says(first, "remember me")
        first.send(CTRL_D)
        first.ends()
        path = llmcli.home / "state" / "history"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        second = chat()
        second.send(UP)
        second.sees("remember me")

    def test_no_save_leaves_no_trace(self, chat: Open, llmcli: Program) -> None:
        """With --no-save nothing is written, anywhere in the home."""
        terminal = chat("--no-save")
        says(terminal, "forget me")
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
        assert [path for path in llmcli.home.rglob("*") if path.is_file()] == []

    def test_a_history_that_can_t_be_kept(self, chat: Open, llmcli: Program) -> None:
        """A notice says why, and the conversation goes on."""
        (llmcli.home / "state").write_text("in the way")
        terminal = chat()
        terminal.sees("notice: the history is not kept")
        assert says(terminal, "hello") == "yes!"

    def test_a_history_that_can_no_longer_be_kept(self, chat: Open, llmcli: Program) -> None:
        """As on a full disk: it is said once, and the arrow key still brings back what was typed."""
        terminal = chat()
        history = llmcli.home / "state" / "history"
        history.unlink()
        history.mkdir()
        says(terminal, "first")
        says(terminal, "second")
        assert terminal.shown.count("notice: the history is not kept") == 1
        terminal.send(UP)
        terminal.waits(lambda: terminal.shown.count("second") == 2, "the last line, brought back")
