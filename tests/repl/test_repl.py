"""The REPL in a real terminal: what a person types, and what they see."""

from __future__ import annotations

import re
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

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
    Terminal,
)
from tests.repl.screen import Open, at_prompt, prompts, says, used, user_messages

YES = ("--grammar", 'root ::= "yes!"')
"""Whatever is typed, the model says yes! and ends."""


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL and waits for its prompt; it is gone after the test."""
    with ExitStack() as stack:

        def chat(*args: object, says: tuple[str, ...] = YES, env: dict[str, str] | None = None) -> Terminal:
            terminal = stack.enter_context(Terminal(llmcli, "chat", *says, *args, env=env))
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat


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

    @pytest.mark.parametrize("how", ["/exit", "  /exit"])
    def test_exit_leaves(self, chat: Open, how: str) -> None:
        """So does the command."""
        terminal = chat()
        terminal.line(how.strip())
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


class TestCommands:
    """The slash commands."""

    def test_an_unknown_one_never_reaches_the_model(self, chat: Open) -> None:
        """It is refused with a hint, also when it is only the beginning of a real one."""
        terminal = chat()
        assert "error: unknown command /nope" in says(terminal, "/nope at all")
        assert "error: unknown command /und" in says(terminal, "/und")
        assert user_messages(terminal) == []
        assert used(terminal) == 0

    def test_two_slashes_send_one(self, chat: Open) -> None:
        """The way to send a message that begins with a slash."""
        terminal = chat()
        says(terminal, "//etc is a folder")
        assert user_messages(terminal) == ["/etc is a folder"]

    def test_help_lists_every_command(self, chat: Open) -> None:
        """With a line each."""
        shown = says(chat(), "/help")
        for name in (
            "/exit",
            "/new",
            "/undo",
            "/retry",
            "/system",
            "/set",
            "/context",
            "/tokens",
            "/stats",
            "//",
        ):
            assert re.search(f"^{name}", shown, re.M), name

    def test_undo(self, chat: Open) -> None:
        """The last turn is gone, and its message is at the prompt, to be sent again or changed."""
        terminal = chat()
        says(terminal, "first message")
        says(terminal, "second message")
        says(terminal, "/undo")
        terminal.waits(lambda: terminal.shown.count("second message") == 2, "the message at the prompt")
        assert says(terminal, " again").endswith("yes!")
        assert user_messages(terminal) == ["first message", "second message again"]

    def test_undo_of_a_message_with_a_slash(self, chat: Open) -> None:
        """It stands at the prompt as it was typed: Enter sends it again, and runs no command."""
        terminal = chat()
        says(terminal, "//exit is a command")
        says(terminal, "/undo")
        terminal.waits(lambda: terminal.shown.count("//exit is a command") == 2, "the message at the prompt")
        assert says(terminal, "").endswith("yes!")
        assert user_messages(terminal) == ["/exit is a command"]

    def test_nothing_to_undo_or_retry(self, chat: Open) -> None:
        """An error each, and the conversation goes on."""
        terminal = chat()
        assert "error: there is nothing to undo" in says(terminal, "/undo")
        assert "error: there is no message to answer" in says(terminal, "/retry")
        assert says(terminal, "hello") == "yes!"

    def test_retry(self, chat: Open) -> None:
        """Another reply in the last one's place: the conversation grows by none."""
        terminal = chat()
        says(terminal, "hello")
        before = used(terminal)
        assert says(terminal, "/retry") == "yes!"
        assert used(terminal) == before
        assert user_messages(terminal) == ["hello"]

    def test_new(self, chat: Open) -> None:
        """The messages are gone, the system message stays."""
        terminal = chat("--system", "Be a fox.")
        says(terminal, "hello")
        says(terminal, "/new")
        shown = says(terminal, "/context")
        assert "Be a fox." in shown
        assert "hello" not in shown

    def test_system(self, chat: Open) -> None:
        """Shown, set, and taken away with a dash."""
        terminal = chat()
        assert says(terminal, "/system") == "system: (none)"
        assert says(terminal, "/system Be a fox.") == "system: Be a fox."
        assert "system" in says(terminal, "/context")
        assert says(terminal, "/system -") == "system: (none)"

    def test_set(self, chat: Open) -> None:
        """A sampling option for the replies to come; a wrong value changes nothing."""
        terminal = chat()
        assert "temp = 0" in says(terminal, "/set temp 0")
        assert "error: --temp nan: must be" in says(terminal, "/set temp nan")
        assert "error: the grammar does not parse" in says(terminal, "/set grammar root ::= (")
        assert "error: there is no option 'nope'" in says(terminal, "/set nope 1")
        assert re.search(r"^\* temp +0\.0$", says(terminal, "/show"), re.M)
        assert says(terminal, "hello") == "yes!"
        says(terminal, '/set grammar root ::= "no!"')
        assert says(terminal, "hello") == "no!"

    def test_stats_and_the_cache(self, chat: Open) -> None:
        """Figures after each reply, on and off; the second turn evaluates only what is new."""
        terminal = chat()
        says(terminal, "/stats")
        says(terminal, "the quick brown fox jumps over the lazy dog")
        shown = says(terminal, "hello")
        found = re.search(r"prompt (\d+) tokens \((\d+) evaluated, (\d+) cached\)", shown.replace("\n", " "))
        assert found, shown
        prompt, evaluated, cached = map(int, found.groups())
        assert prompt == evaluated + cached
        assert evaluated < 25 < cached
        says(terminal, "/stats")
        assert "evaluated" not in says(terminal, "hello")

    def test_tokens(self, chat: Open) -> None:
        """A text's tokens with their ids, and nothing in them invisible."""
        shown = says(chat(), "/tokens the fox")
        assert re.match(r"\d+ tokens: ", shown)
        assert "·" in shown

    def test_context_shows_how_full_the_window_is(self, chat: Open) -> None:
        """Every message with its tokens."""
        terminal = chat()
        says(terminal, "hello")
        shown = says(terminal, "/context")
        assert re.search(r"user +\d+ tokens  hello", shown)
        assert re.search(r"assistant +\d+ tokens  yes!", shown)
        assert f"the window holds {used(terminal)} of 512 tokens" in shown
        listed = re.findall(r"(?:user|assistant) +(\d+) tokens", shown)
        assert used(terminal) == sum(map(int, listed))
        assert f"history {used(terminal)}, " in shown


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
