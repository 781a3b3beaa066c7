"""The keyboard of a REPL: typing ahead, and a terminal that is as it was whenever llmcli is not in front."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.cli.program import Program
from tests.cli.terminal import CTRL_C, CTRL_D, ENTER, Terminal
from tests.repl.screen import YES, Open, at_prompt, says

ENDLESS = ("--grammar", 'root ::= "x" root')
CTRL_Z = "\x1a"
SHELL = """
import os, signal, subprocess, sys, termios

def foreground():
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)

child = subprocess.Popen(sys.argv[1:], preexec_fn=foreground)
_, status = os.waitpid(child.pid, os.WUNTRACED)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, os.getpgrp())
reads, _, _, flags, *_ = termios.tcgetattr(0)
usual = reads & termios.ICRNL and flags & termios.ICANON
print()  # a reply may have stopped in mid-line
print("stopped", "as usual" if usual else "unusual", flush=True)
os.read(0, 100)
os.tcsetpgrp(0, child.pid)
os.killpg(child.pid, signal.SIGCONT)
child.wait()
"""
"""A shell without a line editor of its own: what was stopped goes on at the next line."""


def test_typing_while_the_model_loads(llmcli: Program) -> None:
    """What is typed waits for the prompt, and Enter sends it there."""
    with Terminal(llmcli, "chat", *YES) as terminal:
        terminal.waits(lambda: not terminal.reads_lines, "the keyboard")
        terminal.send("안녕" + ENTER + "/stats" + ENTER)
        terminal.sees("stats on")
        assert ">>> 안녕\nyes!\n>>> /stats" in terminal.shown
        assert terminal.shown.count("안녕") == 1


def test_typing_before_anything_is_there(llmcli: Program) -> None:
    """The terminal makes a newline of Enter then; it is Enter even so."""
    with Terminal(llmcli, "chat", *YES) as terminal:
        terminal.send("안녕" + ENTER + "mor")
        terminal.waits(lambda: at_prompt(terminal) and ">>> mor" in terminal.shown, "the second prompt")
        assert ">>> 안녕\nyes!\n>>> mor" in terminal.shown


def test_pasting_while_nobody_is_asked(llmcli: Program) -> None:
    """While the model loads, and while a reply comes: it waits at the prompt, and no line of it is sent."""
    pasted = "\n".join(f"줄 {n}" for n in range(30))
    with Terminal(llmcli, "chat", *ENDLESS, "-n", "100") as terminal:
        terminal.waits(lambda: b"\x1b[?2004h" in terminal.received, "the keyboard")
        terminal.paste(pasted)
        terminal.waits(lambda: at_prompt(terminal) and "... 줄 29" in terminal.shown, "the paste")
        assert "xxx" not in terminal.shown
        terminal.send(ENTER)
        terminal.sees("xxx")
        terminal.paste(pasted)
        terminal.waits(lambda: at_prompt(terminal) and terminal.shown.count("... 줄 29") == 2, "the paste")
        assert terminal.shown.count("the limit of --predict") == 1
        terminal.send(CTRL_C)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    assert terminal.received.rfind(b"\x1b[?2004l") > terminal.received.rfind(b"\x1b[?2004h")


def test_typing_while_a_dumb_terminal_s_reply_comes(llmcli: Program) -> None:
    """Each line is a message of its own."""
    with Terminal(llmcli, "chat", "--predict", "40", *ENDLESS, env={"TERM": "dumb"}) as terminal:
        terminal.sees(">>>")
        terminal.line("one")
        terminal.sees("xxx")
        terminal.line("two")
        terminal.line("/context")
        terminal.sees("the window holds")
        assert "  two" in terminal.shown


def test_bytes_that_are_no_text(llmcli: Program) -> None:
    """A terminal of another encoding does not end the conversation."""
    strict = {"TERM": "dumb", "PYTHONIOENCODING": "utf-8:strict"}
    with Terminal(llmcli, "chat", *YES, env=strict) as terminal:
        terminal.sees(">>>")
        terminal.send(b"gr\xfc\xdfe\r")
        terminal.sees("yes!")
        terminal.sees(">>>", times=2)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt(chat: Open, number: signal.Signals) -> None:
    """Who ends the program from outside can go on typing in the shell, and paste there."""
    terminal = chat()
    assert not terminal.reads_lines
    terminal.kill(number)
    assert terminal.ends() == -number
    assert b"\x1b[?2004l" in terminal.received.rpartition(b"\x1b[?2004h")[2]
    assert terminal.reads_lines


MARKS = b"\x1b[?2004h"
"""From here on the terminal marks what is pasted."""


def test_ctrl_z(llmcli: Program) -> None:
    """At the prompt and in a reply it stops the program, which then goes on where it was."""
    with Terminal(llmcli, "chat", *YES, under=(sys.executable, "-c", SHELL)) as terminal:
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        terminal.send("hel" + CTRL_Z)
        terminal.sees("stopped as usual")
        terminal.send(ENTER)
        terminal.waits(lambda: terminal.shown.rpartition("stopped")[2].count(">>> hel") == 1, "the prompt")
        assert says(terminal, "lo").endswith("yes!")
    wide = ("-c", "0", "--predict", "300")
    with Terminal(llmcli, "chat", *ENDLESS, *wide, under=(sys.executable, "-c", SHELL)) as terminal:
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        terminal.line("hello")
        terminal.sees("xxx")
        terminal.send(CTRL_Z)
        terminal.sees("stopped as usual")
        assert terminal.received.rfind(b"\x1b[?2004l") > terminal.received.rfind(b"\x1b[?2004h")
        terminal.send(ENTER)
        terminal.sees("the limit of --predict")
        # Where the machine was quick, the reply had ended before it was stopped.
        terminal.waits(lambda: MARKS in terminal.received.rpartition(b"stopped")[2], "pastes to be marked")
        since = terminal.received.rpartition(b"stopped")[2]
        assert MARKS in since.partition(b"the limit")[0]


def test_ctrl_c_between_prompts(chat: Open) -> None:
    """It may come at any moment: no conversation ends by it, and no line editor complains."""
    terminal = chat()
    for number in range(40):
        terminal.line("/stats")
        for _ in range(3):
            terminal.settles(0.001 * (number % 10))
            terminal.send(CTRL_C)
    terminal.settles(0.5)
    terminal.send(CTRL_C)
    terminal.line("hello")
    terminal.sees("yes!")
    assert b"Exception" not in terminal.received
