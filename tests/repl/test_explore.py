"""`llmcli probs -i` in a real terminal: what a person presses, and what they see."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal

LEFT, RIGHT, UP, DOWN = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
PROMPT = "the quick brown"

Open = Callable[..., Terminal]


@pytest.fixture
def explorer(llmcli: Program) -> Iterator[Open]:
    """Opens the explorer and waits until its keys are on the screen; it is gone after the test."""
    with ExitStack() as stack:

        def explorer(
            *args: object, prompt: str = PROMPT, columns: int = 80, env: dict[str, str] | None = None
        ) -> Terminal:
            command = ["probs", "-i", prompt, *args]
            terminal = stack.enter_context(Terminal(llmcli, *command, rows=24, columns=columns, env=env))
            terminal.sees("leave")
            terminal.settles()
            return terminal

        yield explorer


def candidates(terminal: Terminal) -> list[str]:
    """The lines of the candidates from the first to the ninth, without the cursor."""
    return re.findall(r"^[> ]([1-9][ •].*)$", terminal.shown, re.M)


def at_cursor(terminal: Terminal) -> str:
    """The number of the candidate that the cursor is on."""
    found = re.search(r"^>([1-9])", terminal.shown, re.M)
    return found[1] if found else ""


def text(terminal: Terminal) -> str:
    """The text so far: what stands above the candidates."""
    return terminal.shown.partition("\n\n")[0].replace("\n", "")


def changes(terminal: Terminal, key: str) -> None:
    """Press a key and wait until the candidates are others."""
    before = candidates(terminal)
    terminal.send(key)
    terminal.waits(lambda: len(candidates(terminal)) == 9 and candidates(terminal) != before, "a change")
    terminal.settles()


def moves(terminal: Terminal, key: str, to: str) -> None:
    """Press a key and wait until the cursor is on the candidate of that number."""
    terminal.send(key)
    terminal.waits(lambda: at_cursor(terminal) == to, f"the cursor on {to}")
    terminal.settles()


def left_behind(terminal: Terminal) -> str:
    """What stands on the ordinary screen after the program has left its own."""
    return terminal.received.rpartition(b"\x1b[?1049l")[2].decode()


def test_forth_and_back(explorer: Open) -> None:
    """Right appends, left takes back, and the screen is what it was; the branch taken is marked."""
    terminal = explorer()
    begin = candidates(terminal)
    moves(terminal, DOWN, "2")
    moves(terminal, DOWN + DOWN + UP, "3")
    changes(terminal, RIGHT)
    assert text(terminal).startswith(PROMPT)
    assert text(terminal) != PROMPT
    changes(terminal, LEFT)
    terminal.waits(lambda: at_cursor(terminal) == "3", "the cursor on the branch")
    assert text(terminal) == PROMPT
    assert [line[2:] for line in candidates(terminal)] == [line[2:] for line in begin]
    assert [line[1] for line in candidates(terminal)] == [" ", " ", "•", *" " * 6]


def test_digits_pick_and_q_prints(explorer: Open) -> None:
    """q leaves, and prints the text on the ordinary screen."""
    terminal = explorer()
    changes(terminal, "2")
    terminal.send("1q")  # what is typed fast is done in its order
    assert terminal.ends() == 0
    printed = re.sub(r"\x1b[^A-Za-z]*[A-Za-z]", "", left_behind(terminal)).strip()
    assert printed.startswith(PROMPT)
    assert len(printed) > len(PROMPT)
    assert terminal.received.count(b"\x1b[?1049h") == terminal.received.count(b"\x1b[?1049l") == 1


def test_another_branch_and_back_again(explorer: Open) -> None:
    """Stepping into a branch that was left finds it as it was."""
    terminal = explorer()
    changes(terminal, "1")
    changes(terminal, "2")
    there, shown = text(terminal), candidates(terminal)
    changes(terminal, LEFT)
    changes(terminal, LEFT)
    changes(terminal, "3")
    changes(terminal, LEFT)
    changes(terminal, "1")
    terminal.waits(lambda: at_cursor(terminal) == "2", "the cursor on the branch taken")
    changes(terminal, RIGHT)
    assert text(terminal) == there
    assert candidates(terminal) == shown


def test_samplers_move_the_bars(explorer: Open) -> None:
    """Temperature, top-k and top-p, live; what is dropped says so."""
    terminal = explorer("--top-k", 40)
    terminal.send("t" * 8)
    terminal.sees("temp 0 ")
    assert "100.00 %" in candidates(terminal)[0]
    assert all("dropped" in line for line in candidates(terminal)[1:])
    terminal.send("T" * 8)
    terminal.sees("temp 0.8")
    terminal.send("k" * 6)
    terminal.sees("top-k 1 ")
    assert "dropped" in candidates(terminal)[1]
    terminal.send("KKpp")
    terminal.sees("top-k 3")
    terminal.sees("top-p 0.85")


def test_write_on_until_a_key(explorer: Open, wide_model: Path) -> None:
    """g writes on, any key stops it, and the text can be walked back."""
    terminal = explorer("-m", wide_model, "-c", 4096, "--logit-bias", "482-inf", "-l", "480-inf")
    terminal.send("g")
    terminal.waits(lambda: len(text(terminal)) > 100, "a long text")
    terminal.sees("any key stops")
    terminal.send("x")
    terminal.waits(lambda: "any key stops" not in terminal.shown, "the end of it")
    terminal.send(LEFT)
    terminal.waits(lambda: re.search(r"^>.•", terminal.shown, re.M) is not None, "the token taken back")
    terminal.send("q")
    assert terminal.ends() == 0


@pytest.mark.parametrize("columns", [80, 40])
def test_resize(explorer: Open, columns: int) -> None:
    """The screen is drawn anew for the new size, also a small one."""
    terminal = explorer(columns=columns)
    assert len(candidates(terminal)) == 9
    assert all(len(line) <= columns for line in terminal.shown.splitlines())
    terminal.resize(12, 40)
    terminal.waits(lambda: 1 <= len(candidates(terminal)) < 9 and "leave" in terminal.shown, "a redraw")
    assert all(len(line) <= 40 for line in terminal.shown.splitlines())


def test_keys_typed_too_early(llmcli: Program) -> None:
    """While the model loads they are not echoed, and wait for the explorer."""
    with Terminal(llmcli, "probs", "-i", PROMPT, rows=24, columns=80) as terminal:
        terminal.waits(lambda: not terminal.reads_lines, "the keyboard")
        terminal.send("1q")
        assert terminal.ends() == 0
        assert b"1q" not in terminal.received
        assert PROMPT in left_behind(terminal)
        assert terminal.reads_lines


def test_ctrl_d_leaves(explorer: Open) -> None:
    """As q does."""
    terminal = explorer()
    terminal.send(CTRL_D)
    assert terminal.ends() == 0
    assert PROMPT in left_behind(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it(explorer: Open, number: signal.Signals) -> None:
    """The ordinary screen is back, with its cursor and long lines, and the shell reads lines again."""
    terminal = explorer()
    terminal.kill(number)
    assert terminal.ends() == -number
    for mode, ends in ((b"1049h", b"1049l"), (b"25l", b"25h"), (b"7l", b"7h"), (b"2004h", b"2004l")):
        assert b"\x1b[?" + ends in terminal.received.rpartition(b"\x1b[?" + mode)[2]
    assert terminal.reads_lines


@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_c_restores_the_terminal(explorer: Open, how: str) -> None:
    """As a key and as a signal: the ordinary screen is back, with the cursor and the text."""
    terminal = explorer()
    if how == "key":
        terminal.send(CTRL_C)
    else:
        os.kill(terminal.pid, signal.SIGINT)
    assert terminal.ends() == 130
    assert terminal.received.count(b"\x1b[?1049l") == 1
    assert PROMPT in left_behind(terminal)
    assert b"\x1b[?25h" in terminal.received.rpartition(b"\x1b[?25l")[2]


def test_the_model_ends_the_text(explorer: Open) -> None:
    """Where it would write nothing more, g says so."""
    terminal = explorer("--logit-bias", "482+1000")
    assert "(end)" in candidates(terminal)[0]
    terminal.send("g")
    terminal.sees("the model ends the text here")
    assert text(terminal) == PROMPT


def test_what_has_no_width(explorer: Open) -> None:
    """A joiner and a soft hyphen are spelled in the text so far; a wide space is one."""
    terminal = explorer(prompt="a\u200db\u00adc\u3000d")
    assert text(terminal).startswith(r"a\u200db\xadc")
    terminal.send("q")
    assert terminal.ends() == 0
    assert "a\u200db\u00adc\u3000d" in left_behind(terminal)


def test_a_tiny_screen(explorer: Open) -> None:
    """The keys leave room for the text and a candidate."""
    terminal = explorer()
    terminal.resize(6, 20)
    terminal.waits(lambda: len(candidates(terminal)) == 1, "a candidate")
    assert PROMPT[-5:] in terminal.shown


def test_control_characters(explorer: Open) -> None:
    """What the text and the vocabulary spell can't drive the terminal."""
    terminal = explorer(prompt="a\x1b]0;title\x07b\u202e")
    assert r"a\x1b]0;title\ab\u202e" in terminal.shown
    terminal.send("q")
    assert terminal.ends() == 0
    assert b"\x1b]0;title" not in terminal.received
    assert "\u202e".encode() not in terminal.received


def test_a_full_window(explorer: Open, llmcli: Program) -> None:
    """Said, and the walk stands where it stood."""
    prompt = " ".join(["the"] * 256)
    terminal = explorer("-c", 256, prompt=prompt)
    before = text(terminal)
    terminal.send(RIGHT)
    terminal.sees("the window of 256 tokens is full")
    assert text(terminal) == before


def test_without_colours(explorer: Open) -> None:
    """NO_COLOR: not one colour."""
    terminal = explorer(env={"NO_COLOR": "1"})
    changes(terminal, RIGHT)
    assert not re.search(rb"\x1b\[[0-9;]*(3|4|9|10)\d[;m]", terminal.received)
