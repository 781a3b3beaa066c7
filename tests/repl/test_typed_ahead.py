"""What is pasted into a running reply, where it is more than a terminal holds."""

from __future__ import annotations

from pathlib import Path

from tests.cli.chatting import ENDLESS
from tests.cli.program import Program
from tests.cli.terminal import CTRL_C, CTRL_D, ENTER, Terminal
from tests.repl.screen import at_prompt

PASTED = "\n".join(f"줄 {n}" for n in range(700))
"""6 KB; a terminal on Linux holds 4."""


def test_ctrl_c_is_heard_behind_it(llmcli: Program, wide_model: Path) -> None:
    """It stops the reply, and the paste goes with it, as what the terminal itself held always did."""
    with Terminal(llmcli, "chat", "-m", wide_model, *ENDLESS, "-c", "0") as terminal:
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        terminal.line("hello")
        terminal.sees("xxx")
        terminal.paste(PASTED)
        terminal.send(CTRL_C)
        terminal.sees("stopped; what was said is kept")
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        terminal.send("typed")
        terminal.sees(">>> typed")
        assert "줄" not in terminal.shown
        terminal.send(CTRL_C + CTRL_D)
        assert terminal.ends() == 0


def test_it_waits_at_the_prompt_whole(llmcli: Program, wide_model: Path) -> None:
    """No line of it is sent before Enter; then nothing is missing or doubled, what is typed after it too."""
    with Terminal(llmcli, "chat", "-m", wide_model, *ENDLESS, "-n", "300") as terminal:
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        terminal.line("hello")
        terminal.sees("xxx")
        terminal.paste(PASTED)
        terminal.send("끝")
        terminal.waits(lambda: at_prompt(terminal) and "... 줄 699끝" in terminal.shown, "the paste")
        terminal.send(ENTER)
        terminal.sees("the limit of --predict", times=1)
        terminal.waits(lambda: at_prompt(terminal), "the prompt")
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    said = llmcli("sessions", "export", "--format", "jsonl").records
    assert [message["content"] for message in said if message.get("role") == "user"] == [
        "hello",
        PASTED + "끝",
    ]
