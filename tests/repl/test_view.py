"""Replies on a real terminal: drawn as Markdown while they are written, or streamed as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.terminal import ENTER, Terminal
from tests.repl.screen import Open, at_prompt, prompts, says, user_messages

MARKDOWN = (
    r'root ::= "# Title\n\nSome **bold** words\n\n- one\n- 둘 세계\n\n```python\nx = 1\n```\n\nthe end"'
)


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL whose replies follow a grammar, and waits for its prompt."""
    with ExitStack() as stack:

        def chat(
            grammar: str,
            *args: object,
            rows: int = 120,
            columns: int = 100,
            env: dict[str, str] | None = None,
        ) -> Terminal:
            terminal = stack.enter_context(
                Terminal(llmcli, "chat", "--grammar", grammar, *args, rows=rows, columns=columns, env=env)
            )
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat


class TestMarkdown:
    """The view on a terminal."""

    def test_it_is_drawn(self, chat: Open) -> None:
        """Title, list and code in their forms; the marks are gone."""
        shown = says(chat(MARKDOWN), "hello")
        assert shown.splitlines()[:6] == ["Title", "", "Some bold words", "", " • one", " • 둘 세계"]
        assert "── python ──" in shown
        assert "x = 1" in shown
        assert shown.endswith("the end")
        assert "```" not in shown

    def test_plain(self, chat: Open) -> None:
        """The text as the model wrote it."""
        shown = says(chat(MARKDOWN, "--plain"), "hello")
        assert shown.startswith("# Title\n\nSome **bold** words")
        assert "```python\nx = 1\n```" in shown

    def test_the_config_file_chooses(self, llmcli: Program, chat: Open) -> None:
        """Where no flag does."""
        llmcli("config", "set", "chat.markdown", "false").succeeded()
        assert says(chat(MARKDOWN), "hello").startswith("# Title\n")
        assert says(chat(MARKDOWN, "--markdown"), "hello").startswith("Title\n")

    def test_one_answer_on_a_terminal(self, llmcli: Program) -> None:
        """-p draws, too; in a pipe the text stays as it is."""
        with Terminal(llmcli, "chat", "--grammar", MARKDOWN, "-p", "hello") as terminal:
            assert terminal.ends() == 0
            assert "── python ──" in terminal.shown
        assert llmcli("chat", "--grammar", MARKDOWN, "-p", "hello").succeeded().text.startswith("# Title\n")

    def test_without_colours(self, chat: Open) -> None:
        """NO_COLOR: the same without a colour."""
        terminal = chat(MARKDOWN, env={"NO_COLOR": "1"})
        assert says(terminal, "hello").startswith("Title\n\nSome bold words")
        assert not re.search(rb"\x1b\[[0-9;]*(3|4|9|10)\d[;m]", terminal.received)

    def test_a_long_reply_on_a_small_screen(self, chat: Open) -> None:
        """40 columns and 8 rows: every word once, in order, though most have scrolled away."""
        words = [f"w{n}" for n in range(80)]
        terminal = chat(f'root ::= "{" ".join(words)}"', rows=8, columns=40)
        terminal.line("hello")
        terminal.waits(lambda: "w79" in terminal.shown and at_prompt(terminal), "the end of the reply")
        sent = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", terminal.received.partition(b"w0 ")[2]).decode()
        assert set(words[1:]) <= set(re.findall(r"w\d+", sent))
        assert [word for word in terminal.shown.split() if word.startswith("w")] == words[
            -len([word for word in terminal.shown.split() if word.startswith("w")]) :
        ]

    def test_a_resize_in_mid_reply(self, chat: Open, wide_model: Path) -> None:
        """The reply goes on in the new width, and the prompt comes back."""
        terminal = chat(r'root ::= "word " root', "-m", wide_model, "-n", "2000")
        terminal.line("hello")
        terminal.sees("word word word")
        terminal.resize(60, 30)
        terminal.sees("notice: the reply stops here")
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        assert "Traceback" not in terminal.shown

    def test_ctrl_c_in_mid_block(self, chat: Open, wide_model: Path) -> None:
        """What was drawn stays, and the notice begins a line."""
        terminal = chat('root ::= "```\\n" line\nline ::= "xx\\n" line', "-m", wide_model, "-c", "0")
        terminal.line("hello")
        terminal.sees("xx\nxx\nxx")
        terminal.interrupt()
        terminal.sees("\nstopped; what was said is kept")
        terminal.waits(lambda: at_prompt(terminal) and prompts(terminal) >= 1, "the prompt")


class TestTyping:
    """What the line editor brings along."""

    def test_ctrl_r_searches(self, chat: Open) -> None:
        """The history, from the newest on."""
        terminal = chat('root ::= "yes!"')
        says(terminal, "the first of them")
        says(terminal, "another")
        terminal.send("\x12first of")
        terminal.waits(lambda: terminal.shown.count("the first of them") == 2, "what was found")
        terminal.send(ENTER + ENTER)
        terminal.waits(lambda: terminal.shown.count("yes!") == 3, "the reply")

    def test_the_editor(self, chat: Open, llmcli: Program) -> None:
        """Ctrl-X Ctrl-E opens it, and what was written there is at the prompt."""
        editor = llmcli.home / "editor"
        editor.write_text('#!/bin/sh\necho "from the editor" > "$1"\n')
        editor.chmod(0o700)
        terminal = chat('root ::= "yes!"', env={"EDITOR": str(editor), "VISUAL": str(editor)})
        terminal.send("some\x18\x05")
        terminal.sees("from the editor")
        terminal.settles()
        terminal.send(ENTER)
        terminal.sees("yes!")
        assert user_messages(terminal) == ["from the editor"]

    def test_without_a_terminal_s_abilities(self, llmcli: Program) -> None:
        """TERM=dumb: a backslash adds a line, commands work, and Ctrl-D leaves."""
        with Terminal(llmcli, "chat", "--grammar", 'root ::= "yes!"', env={"TERM": "dumb"}) as terminal:
            terminal.sees(">>>")
            terminal.line("one\\")
            terminal.sees("...")
            terminal.line("two")
            terminal.sees("yes!")
            terminal.sees(">>>", times=2)
            terminal.line("/context")
            terminal.sees(r"one\ntwo")
            terminal.line("/undo")
            terminal.sees("an empty line sends again: one")
            terminal.line("")
            terminal.sees("yes!", times=3)
