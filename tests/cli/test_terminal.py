"""What is different on a terminal: tables, colours, and text that can't drive it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prompt_toolkit.utils import get_cwidth

from tests.cli.program import Program
from tests.cli.terminal import Terminal

NASTY = "a\x1b[31mb\x07\x9b2J\u202ec"
"""A colour, a bell, a C1 control sequence that clears the screen, and a bidirectional override."""

NASTY_SHOWN = r"a\x1b[31mb\a\x9b2J\u202ec"
NASTY_GRAMMAR = r'root ::= "a\x1b[31mb\x07\x9b2J\u202Ec"'

COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


def on_terminal(program: Program, *args: object, env: dict[str, str] | None = None) -> Terminal:
    """Run a command on a terminal to its end, which must be a good one."""
    with Terminal(program, *args, env=env) as terminal:
        assert terminal.ends() == 0, terminal.shown
        return terminal


def cells_before(line: str, pattern: str) -> int:
    """How many cells of a terminal stand before what the pattern finds in a line."""
    found = re.search(pattern, line)
    assert found
    return get_cwidth(line[: found.start()])


class TestSafety:
    """Text from a model, a file or a vocabulary can't drive the terminal; in a pipe it is exact."""

    def test_a_reply_with_escape_sequences(self, llmcli: Program) -> None:
        """Shown as visible escapes, although each sequence comes split over several tokens."""
        args = ["chat", "-p", "x", "--grammar", NASTY_GRAMMAR]
        terminal = on_terminal(llmcli, *args)
        assert NASTY_SHOWN in terminal.shown
        for forbidden in (b"\x1b[31m", b"\x07", "\x9b".encode(), "\u202e".encode()):
            assert forbidden not in terminal.received
        assert llmcli(*args).stdout.decode() == NASTY + "\n"

    def test_a_reply_with_escape_sequences_as_json(self, llmcli: Program) -> None:
        """JSON on a terminal is no way around it, and is still the same JSON."""
        args = ["chat", "-p", "x", "--grammar", NASTY_GRAMMAR, "--json"]
        terminal = on_terminal(llmcli, *args)
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", terminal.received.decode())
        assert llmcli(*args).json["message"]["content"] == NASTY

    @pytest.mark.parametrize("command", [["tokenize"], ["tokenize", "--json"], ["probs", "--token"]])
    def test_a_text_with_escape_sequences(self, llmcli: Program, command: list[str]) -> None:
        """Tables and JSON of such a text are harmless, too."""
        text = ["x"] if command[0] == "probs" else []
        terminal = on_terminal(llmcli, "--color", "never", *command, NASTY, *text)
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", terminal.received.decode())

    def test_detokenize(self, llmcli: Program) -> None:
        """Bytes that ids stand for are shown on a terminal, and exact in a pipe."""
        ids = llmcli("tokenize", stdin=NASTY.encode()).text.split()
        assert NASTY_SHOWN in on_terminal(llmcli, "detokenize", *ids).shown
        assert llmcli("detokenize", *ids).stdout.decode() == NASTY

    def test_an_error_message(self, llmcli: Program) -> None:
        """A file's name is text from outside as well."""
        with Terminal(llmcli, "tokenize", "x", "-m", "/\x1b]0;title\x07.gguf") as terminal:
            assert terminal.ends() == 1
        assert r"error: /\x1b]0;title\a.gguf: no such file" in terminal.shown
        assert b"\x1b]0" not in terminal.received


class TestTables:
    """A person sees a table where a program gets data."""

    def test_tokenize_shows_a_table(self, llmcli: Program) -> None:
        """With the text above it in colours, and a line of sums below."""
        terminal = on_terminal(llmcli, "tokenize", "the fox")
        assert re.search(r"index +id +piece +bytes +offsets", terminal.shown)
        assert "7 bytes, 7 characters" in terminal.shown
        assert COLOUR.search(terminal.received)

    def test_a_format_that_is_asked_for_is_kept(self, llmcli: Program) -> None:
        """--format ids on a terminal is what it is in a pipe."""
        terminal = on_terminal(llmcli, "tokenize", "--format", "ids", "the fox")
        assert terminal.received.replace(b"\r\n", b"\n") == llmcli("tokenize", "the fox").stdout

    def test_wide_characters_line_up(self, llmcli: Program) -> None:
        """Widths are measured in cells: the column behind Korean and emoji stays straight."""
        terminal = on_terminal(llmcli, "tokenize", "안녕하세요 🦙 the fox")
        begins = terminal.shown.splitlines()
        header = next(line for line in begins if line.startswith("index"))
        cells = [cells_before(line, r"\d+-\d+$") for line in begins if re.search(r"\d+-\d+$", line)]
        assert len(cells) > 4
        assert set(cells) == {header.index("offsets")}

    def test_probs_shows_bars(self, llmcli: Program) -> None:
        """A row a token, a bar for its probability, the entropy below."""
        terminal = on_terminal(llmcli, "probs", "the", "-k", "3")
        assert "█" in terminal.shown
        assert "bits; " in terminal.shown
        assert "sampled" not in terminal.shown
        assert "sampled = after top_k" in on_terminal(llmcli, "probs", "the", "--top-k", "2").shown


class TestColours:
    """--color, NO_COLOR and TERM=dumb."""

    @pytest.mark.parametrize(
        "command", [["tokenize", "the fox"], ["probs", "the"], ["tokenize", "-m", "/none", "x"]]
    )
    @pytest.mark.parametrize(
        ("options", "env"),
        [([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"}), (["--color", "never"], {})],
        ids=["NO_COLOR", "dumb", "never"],
    )
    def test_without_colours(
        self, llmcli: Program, command: list[str], options: list[str], env: dict[str, str]
    ) -> None:
        """Not one colour byte, in the answer or in an error."""
        with Terminal(llmcli, *options, *command, env=env) as terminal:
            terminal.ends()
        assert terminal.shown
        assert not re.search(rb"\x1b\[[0-9;]*(3|4|9|10)\d[;m]", terminal.received)
        if env.get("TERM") == "dumb" or options:
            assert b"\x1b" not in terminal.received

    @pytest.mark.parametrize("where", [["--color", "always", "tokenize"], ["tokenize", "--color", "always"]])
    def test_colours_in_a_pipe(self, llmcli: Program, where: list[str]) -> None:
        """--color always colours what goes into a pipe, wherever the option stands."""
        assert COLOUR.search(llmcli(*where, "--format", "table", "the fox").stdout)

    def test_no_colours_in_a_pipe(self, llmcli: Program) -> None:
        """By default a pipe gets none, and no other escape either."""
        for command in (
            ["tokenize", "--format", "table", "the"],
            ["probs", "the"],
            ["chat", "-p", "x", "-n", "1"],
        ):
            assert b"\x1b" not in llmcli(*command).succeeded().stdout


class TestReply:
    """A reply on a terminal, without a REPL."""

    def test_thinking_is_on_the_screen_and_dimmed(self, llmcli: Program) -> None:
        """On a terminal a person sees it above the answer, and apart from it."""
        grammar = 'root ::= "<think>" "hm hm" "</think>" "yes"'
        terminal = on_terminal(llmcli, "chat", "-p", "x", "--grammar", grammar)
        assert terminal.shown == "hm hm\n\nyes"
        assert b"\x1b[2m" in terminal.received

    def test_ctrl_c_keeps_what_was_said(self, llmcli: Program, wide_model: Path) -> None:
        """The reply stops where it is, its line ended, with exit code 130 and no error."""
        args = ["-m", wide_model, "-c", "0", "--grammar", 'root ::= "x\\n" root']
        with Terminal(llmcli, "chat", "-p", "x", *args) as terminal:
            terminal.sees("x", times=5)
            terminal.interrupt()
            assert terminal.ends() == 130
        assert "error" not in terminal.shown

    def test_a_single_answer_needs_no_input(self, llmcli: Program) -> None:
        """With -p, stdin that is a terminal is not read."""
        assert on_terminal(llmcli, "chat", "-p", "x", "--grammar", 'root ::= "yes"').shown == "yes"
