"""What a person sees of a REPL: its prompts, what came between them, and the line of figures below."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.cli.terminal import Terminal

YES = ("--grammar", 'root ::= "yes!"')
"""Whatever is typed, the model says yes! and ends."""

Open = Callable[..., Terminal]
"""Opens a REPL and waits for its prompt."""


def prompts(terminal: Terminal) -> int:
    """How many prompts are on the screen."""
    return len(re.findall("^>>>", terminal.shown, re.M))


def says(terminal: Terminal, line: str) -> str:
    """Type a line, wait for the next prompt, and give what was shown in between."""
    before = prompts(terminal)
    terminal.line(line)
    terminal.waits(lambda: prompts(terminal) > before and at_prompt(terminal), "a new prompt")
    return re.split("^>>>", terminal.shown, flags=re.M)[-2].partition("\n")[2].strip()


def at_prompt(terminal: Terminal) -> bool:
    """Whether the last prompt has the line of figures below it, as it has while a line is edited."""
    return bool(re.search(r"\d+/\d+ tokens$", terminal.shown))


def used(terminal: Terminal) -> int:
    """The tokens of the window that the line below the prompt shows."""
    found = re.search(r"(\d+)/\d+ tokens$", terminal.shown)
    assert found, terminal.shown
    return int(found[1])


def user_messages(terminal: Terminal) -> list[str]:
    """The user's messages as /context lists them."""
    return re.findall(r"^ *\d+ user +\d+ tokens  (.*)$", says(terminal, "/context"), re.M)
