"""What goes wrong in the REPL, in a real terminal, and how it goes on."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.terminal import (
    CTRL_C,
    CTRL_D,
    Terminal,
)
from tests.models import CHATML
from tests.repl.screen import YES, Open, at_prompt, prompts, says, user_messages


class TestTrouble:
    """No error and no Ctrl-C ends the conversation."""

    def test_ctrl_c_in_mid_reply_and_another_turn(self, chat: Open, wide_model: Path) -> None:
        """The reply stops at once, what was said stays in the conversation, and the next turn works."""
        terminal = chat("-m", wide_model, "-c", "0", says=("--grammar", r'root ::= "x" root'))
        terminal.line("go on")
        terminal.waits(lambda: "xxxxx" in terminal.shown, "a reply that goes on")
        pressed = time.monotonic()
        terminal.interrupt()
        terminal.waits(lambda: "stopped; what was said is kept" in terminal.shown, "the notice", patience=5)
        assert time.monotonic() - pressed < 0.5
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        says(terminal, '/set grammar root ::= "yes!"')
        assert says(terminal, "and now?") == "yes!"
        shown = says(terminal, "/context")
        assert re.search(r"assistant +\d+ tokens  xxx", shown)
        assert shown.count(" user ") == 2

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_in_mid_reply_leaves_the_terminal_as_it_was(
        self, chat: Open, wide_model: Path, number: signal.Signals
    ) -> None:
        """Who ends the program from outside can go on typing in the shell."""
        terminal = chat("-m", wide_model, "-c", "0", says=("--grammar", r'root ::= "x" root'))
        terminal.line("go")
        terminal.sees("xxxxx")
        assert not terminal.reads_lines
        terminal.kill(number)
        assert terminal.ends() == -number
        assert terminal.reads_lines

    def test_ctrl_c_in_a_long_prompt(self, chat: Open, wide_model: Path, llmcli: Program) -> None:
        """Nothing was said: the conversation is as it was, and the next turn works."""
        (llmcli.home / "long.txt").write_text("the quick brown fox " * 5_000)
        terminal = chat("-m", wide_model, "-c", "0", "-f", "long.txt")
        terminal.line("go on")
        terminal.sees("reading the prompt")
        pressed = time.monotonic()
        terminal.interrupt()
        terminal.waits(lambda: prompts(terminal) == 2, "the prompt", patience=5)
        assert time.monotonic() - pressed < 0.5
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        assert "Traceback" not in terminal.shown

    def test_ctrl_c_in_an_endless_template(self, chat: Open, llmcli: Program) -> None:
        """The message is at the prompt again, and the conversation goes on."""
        path = llmcli.home / "endless.jinja"
        loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
        show = "{% for m in messages %}{{ m.content }}{% endfor %}"
        path.write_text("{% if 'spin' in messages[-1].content %}" + loops + "{% endif %}" + show)
        terminal = chat("--chat-template", path)
        terminal.line("spin")
        time.sleep(0.3)
        terminal.interrupt()
        terminal.sees("interrupted; nothing was changed")
        terminal.waits(lambda: at_prompt(terminal) and terminal.shown.count("spin") == 2, "the message")
        terminal.send(CTRL_C)
        terminal.waits(lambda: prompts(terminal) == 3 and at_prompt(terminal), "an empty prompt")
        assert says(terminal, "hello") == "yes!"
        assert user_messages(terminal) == ["hello"]

    def test_ctrl_c_while_a_cut_is_evaluated(self, chat: Open, wide_model: Path, llmcli: Program) -> None:
        """A message sent meanwhile waits for that, and is at the prompt again; so it is the next time."""
        for name, n_words in ("first", 5_000), ("second", 2_200):
            (llmcli.home / f"{name}.txt").write_text(name + " the dog" * n_words)
        # What is new after the cut is as long as what has left, and stands before what stays.
        lead = "{% if 'first' not in messages[0].content %}{{ ' the' * 8000 }}{% endif %}"
        (llmcli.home / "lead.jinja").write_text(lead + CHATML)
        terminal = chat("-m", wide_model, "-c", "16384", "-n", "8", "--chat-template", "lead.jinja")
        for name in ("first", "second"):
            says(terminal, f"/file {name}.txt")
            says(terminal, "hello")
        assert "dropped turn 1" in terminal.shown
        for text, notice in ("and now?", "nothing was changed"), ("", "stopped before anything was said"):
            terminal.line(text)
            terminal.sees("reading the prompt")
            pressed = time.monotonic()
            terminal.interrupt()
            terminal.sees(notice)
            assert time.monotonic() - pressed < 0.5
            terminal.waits(lambda: at_prompt(terminal), "the prompt")
        assert terminal.shown.count(">>> and now?") == 3

    def test_a_message_that_does_not_fit(self, chat: Open) -> None:
        """An error with the figures; the text is at the prompt again, and the conversation is usable."""
        terminal = chat("-c", "256")
        says(terminal, "hello")
        terminal.line("0123456789 " * 30)
        terminal.sees("leaves no room for a reply in the window of 256")
        terminal.waits(
            lambda: at_prompt(terminal) and terminal.shown.count("0123456789 0123") > 4, "the text"
        )
        terminal.send(CTRL_C)
        terminal.waits(lambda: prompts(terminal) == 4 and at_prompt(terminal), "an empty prompt")
        assert says(terminal, "short") == "yes!"
        assert user_messages(terminal) == ["hello", "short"]

    def test_a_reply_can_t_drive_the_terminal(self, chat: Open) -> None:
        """Neither when it is written nor when /context lists it."""
        terminal = chat(says=("--grammar", r'root ::= "a\x1b]0;title\x07b"'))
        assert says(terminal, "hello") == r"a\x1b]0;title\ab"
        assert r"a\x1b]0;title\ab" in says(terminal, "/context")
        assert b"\x1b]0;" not in terminal.received

    def test_a_file_goes_before_the_first_message_only(self, chat: Open, llmcli: Program) -> None:
        """-f FILE in a REPL."""
        (llmcli.home / "note.txt").write_text("a note")
        terminal = chat("-f", "note.txt")
        says(terminal, "one")
        says(terminal, "two")
        assert user_messages(terminal) == [r"a note\n\none", "two"]

    def test_without_colours(self, chat: Open) -> None:
        """NO_COLOR: a whole conversation without a colour."""
        terminal = chat(env={"NO_COLOR": "1"})
        assert says(terminal, "hello") == "yes!"
        assert not re.search(rb"\x1b\[[0-9;]*(3|4|9|10)\d[;m]", terminal.received)

    def test_a_terminal_that_can_do_nothing(self, llmcli: Program) -> None:
        """TERM=dumb: a prompt, a reply, and from the greeting on not one escape byte."""
        with Terminal(llmcli, "chat", *YES, env={"TERM": "dumb"}) as terminal:
            terminal.sees(">>>")
            terminal.line("hello")
            terminal.sees("yes!")
            terminal.sees(">>>", times=2)
            terminal.send(CTRL_D)
            assert terminal.ends() == 0
        assert b"\x1b" not in terminal.received.partition(b"Enter sends")[2]
