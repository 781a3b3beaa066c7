"""`llmcli chat` without a terminal: Ctrl-C in every phase."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.chatting import ENDLESS, LONG_TEXT, SHOW_PROMPT, YES
from tests.cli.program import Program, Running
from tests.models import make_model


def interrupted_soon(running: Running, before: bytes = b"", *, starting: bool = False) -> bytes:
    """Send Ctrl-C, and assert that the program ends as the contract says; all of its stdout.

    One that is still `starting` may not have come to its own handler: then it dies of the signal.
    """
    sent = running.interrupt()
    ran = running.end(before)
    took = time.monotonic() - sent
    assert ran.exit_status == 130 or (starting and ran.exit_status == -signal.SIGINT), ran.stderr
    assert "Traceback" not in ran.stderr
    assert "error:" not in ran.stderr
    assert took < 0.5, f"answered after {took:.2f} s"
    return ran.stdout


class TestInterrupt:
    """Ctrl-C answers within half a second, keeps what was said, and leaves with exit code 130."""

    def test_in_a_long_prompt(self, llmcli: Program, wide_model: Path) -> None:
        """While a prompt of seconds is evaluated; the reply before it stays."""
        args = ["-m", wide_model, "--turns", "-", *YES, "-c", "0"]
        with llmcli.started("chat", *args, talks=True) as running:
            running.send(b"hello\n")
            first = running.line()
            running.send(LONG_TEXT + b"\n")
            time.sleep(0.7)
            assert running.process.poll() is None
            assert interrupted_soon(running, first) == b"yes\n"

    def test_in_mid_reply(self, llmcli: Program, wide_model: Path) -> None:
        """What was written stays on stdout, with its line ended."""
        with llmcli.started("chat", "-m", wide_model, "-p", "x", *ENDLESS) as running:
            said = interrupted_soon(running, running.read(5))
        assert said.endswith(b"x\n")
        assert said.strip(b"x") == b"\n"

    def test_a_cancelled_reply_in_json(self, llmcli: Program, wide_model: Path) -> None:
        """The `done` event still comes, and says `cancelled`."""
        with llmcli.started("chat", "-m", wide_model, "-p", "x", *ENDLESS, "--jsonl") as running:
            first = running.line()
            events = [json.loads(line) for line in interrupted_soon(running, first).splitlines()]
        assert events[-1]["event"] == "done"
        assert events[-1]["finish_reason"] == "cancelled"
        assert events[-1]["message"]["content"] == "".join(event.get("content", "") for event in events[:-1])

    def test_no_further_turn_after_it(self, llmcli: Program, wide_model: Path) -> None:
        """Ctrl-C ends the whole scripted run, not only the reply."""
        with llmcli.started("chat", "-m", wide_model, "--turns", "-", *ENDLESS, talks=True) as running:
            running.send(b"one\ntwo\n")
            said = interrupted_soon(running, running.read(1))
        assert said.count(b"\n") == 1

    def test_between_turns(self, llmcli: Program) -> None:
        """While it waits for the next line of a pipe."""
        with llmcli.started("chat", "--turns", "-", *YES, talks=True) as running:
            running.send(b"one\n")
            first = running.line()
            assert interrupted_soon(running, first) == b"yes\n"

    @pytest.mark.parametrize("work", ["", "{% set x = messages | string %}"], ids=["idle", "busy"])
    def test_in_an_endless_template(self, llmcli: Program, work: str) -> None:
        """A template has no limit on time, but Ctrl-C."""
        path = llmcli.home / "endless.jinja"
        loops = "{% for a in range(99999) %}{% for b in range(99999) %}" + work + "{% endfor %}{% endfor %}"
        path.write_text(SHOW_PROMPT + "{% if messages | length > 1 %}" + loops + "{% endif %}")
        with llmcli.started("chat", "--turns", "-", *YES, "--chat-template", path, talks=True) as running:
            running.send(b"hello\n")
            first = running.line()
            running.send(b"hello again\n")
            time.sleep(0.3)
            assert running.process.poll() is None
            assert interrupted_soon(running, first) == b"yes\n"

    @pytest.mark.parametrize("delay", [0.02, 0.06, 0.1, 0.15, 0.2, 0.25])
    def test_while_it_starts_and_loads(self, llmcli: Program, tmp_path: Path, delay: float) -> None:
        """At whatever moment after Python's own start it comes, in imports or in loading: no traceback."""
        model = make_model(tmp_path / "broad.gguf", width=512, heads=8, layers=2)
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        delay += 2 * (time.monotonic() - begun)
        with llmcli.started("chat", "-m", model, "--turns", "-", *YES, "--no-mmap", talks=True) as running:
            time.sleep(delay)
            assert interrupted_soon(running, starting=True) == b""
