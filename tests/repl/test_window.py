"""The window in the REPL: cuts between turns, and the commands that look at it and change it."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cli.program import Program
from tests.cli.terminal import Terminal
from tests.models import CHATML
from tests.repl.screen import Open, at_prompt, says, used

LETTERS = ("--grammar", "root ::= [a-z ]+", "--logit-bias", "482-inf", "--logit-bias", "480-inf", "-n", "8")
"""Replies of eight tokens that meet their limit."""

FOX = "the quick brown fox jumps over the lazy dog"


@pytest.fixture
def chat(llmcli: Program) -> Iterator[Open]:
    """Opens a REPL in a window of 256 and waits for its prompt."""
    with ExitStack() as stack:

        def chat(*args: object) -> Terminal:
            terminal = stack.enter_context(Terminal(llmcli, "chat", *LETTERS, "-c", "256", *args))
            terminal.waits(lambda: at_prompt(terminal), "the first prompt")
            return terminal

        yield chat


@pytest.mark.parametrize("refill", ["shift", "exact"])
def test_a_cut_is_made_after_the_reply(chat: Open, refill: str) -> None:
    """The notice stands below a reply; the bottom line and /context say what is outside; talk goes on."""
    terminal = chat("--refill", refill)
    for number in range(8):
        shown = says(terminal, f"{number} {FOX}")
        if "notice: dropped" in shown:
            break
    assert re.search(r"notice: dropped turns? 1(-\d+)?, \d+ tokens$", shown)
    assert re.search(r"\d+ messages outside  \d+/256 tokens$", terminal.shown)
    listed = says(terminal, "/context")
    assert re.search(r"^ *0 user +outside  0 the quick", listed, re.M)
    assert re.search(r"system 0, history \d+, pinned 0, reply reserve 8, free \d+", listed)
    assert "error" not in says(terminal, "and now?")


def test_continue(chat: Open) -> None:
    """A reply that met its limit goes on in the same message."""
    terminal = chat()
    assert "error: there is no reply to go on with" in says(terminal, "/continue")
    says(terminal, "hello")
    before = says(terminal, "/context")
    says(terminal, "/continue")
    after = says(terminal, "/context")
    assert after.count("assistant") == before.count("assistant") == 1
    tokens = [int(re.findall(r"assistant +(\d+) tokens", text)[0]) for text in (before, after)]
    assert tokens[1] >= tokens[0] + 4


def test_a_full_window_is_full(chat: Open) -> None:
    """A reply that met the window's end fills it to the last token, and no further."""
    terminal = chat("-n", "-1", "--overflow", "stop")
    says(terminal, "hello")
    shown = says(terminal, "/context")
    assert "the window holds 256 of 256 tokens" in shown
    assert "history 256, " in shown
    assert used(terminal) == 256


def test_an_empty_window(chat: Open) -> None:
    """When the only turn fills the window it leaves for the next one; it is listed as outside."""
    terminal = chat("-n", "-1")
    assert re.search(r"dropped turn 1, \d+ tokens", says(terminal, "hello"))
    shown = says(terminal, "/context")
    assert re.search(r"0 user +outside  hello\n +1 assistant +outside  ", shown)
    assert "the window holds 0 of 256 tokens" in shown


def test_the_line_below_the_prompt_follows_think(chat: Open, llmcli: Program) -> None:
    """What the template writes without thinking is counted at once."""
    path = llmcli.home / "thinks.jinja"
    path.write_text("{% if enable_thinking is false %}Do not think about it.{% endif %}" + CHATML)
    terminal = chat("--chat-template", path)
    says(terminal, "hello")
    before = used(terminal)
    says(terminal, "/think off")
    assert used(terminal) > before
    assert f"the window holds {used(terminal)} of" in says(terminal, "/context")


def test_pin(chat: Open) -> None:
    """A pinned message stays in the window; pinned once more, it may leave."""
    terminal = chat()
    says(terminal, "remember: blue")
    assert "message 0 is pinned" in says(terminal, "/pin 0")
    assert "error: usage: /pin NUMBER" in says(terminal, "/pin 9")
    for number in range(7):
        says(terminal, f"{number} {FOX}")
    listed = says(terminal, "/context")
    assert re.search(r"0 user +\d+ tokens  remember: blue  \(pinned\)", listed)
    assert "outside" in listed
    assert "may leave the window" in says(terminal, "/pin 0")


def test_a_pin_comes_back(chat: Open) -> None:
    """With the session, also where it was set after the last turn."""
    terminal = chat("--session", "notes")
    says(terminal, "remember: blue")
    says(terminal, "/pin 0")
    terminal.kill(signal.SIGKILL)
    assert "remember: blue  (pinned)" in says(chat("--continue"), "/context")


def test_compact_and_back(chat: Open) -> None:
    """Where there is nothing to sum up or take back, it says so."""
    terminal = chat()
    says(terminal, "hello")
    assert "error: there is nothing to summarize" in says(terminal, "/compact")
    assert "error: nothing has left the window" in says(terminal, "/compact undo")
    assert "error: usage: /compact" in says(terminal, "/compact now")


def test_stats_say_what_the_window_is_used_for(chat: Open) -> None:
    """The figures after a reply have the count by system, history, pinned, reserve and free."""
    shown = says(chat("--stats", "-sys", "be nice"), "hello")
    assert re.search(r"window: system [1-9]\d*, history \d+, pinned 0, reply reserve 8, free \d+", shown)
