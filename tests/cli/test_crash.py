"""What is on disk after a process was killed: at most the last second of a reply is lost."""

from __future__ import annotations

import json
import os
import random
import select
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from llmcli.chat.saved import Saved
from llmcli.chat.store import Store
from llmcli.chat.tree import messages
from tests.cli.program import Program, Running

KILLS = int(os.environ.get("LLMCLI_KILLS", "12"))
LONGEST = 1.6
"""Seconds from the first output to the kill, at most."""

ENDLESS = ("-c", "0", "--grammar", "root ::= [a-z] root", "--temp", "1.5")
SHORT = ("-c", "0", "--grammar", "root ::= [a-z] [a-z] [a-z]", "--temp", "1.5")

Events = list[tuple[float, dict[str, Any]]]


def session(llmcli: Program, name: str) -> Saved:
    """A session, from a file that is whole."""
    path = llmcli.home / "data" / "sessions.db"
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    with Store(path) as store:
        return store.open(name)


def killed_after(running: Running, seconds: float) -> tuple[Events, float]:
    """Kill a process so long after its first output; each event with its time, and the time of the kill."""
    assert running.process.stdout is not None
    out = running.process.stdout.fileno()
    events: Events = []
    kept = b""
    end = None
    while end is None or time.monotonic() < end:
        ready, _, _ = select.select([out], [], [], 20 if end is None else max(0.0, end - time.monotonic()))
        if not ready:
            continue
        data = os.read(out, 1 << 16)
        now = time.monotonic()
        end = end or now + seconds
        *lines, kept = (kept + data).split(b"\n")
        events += [(now, json.loads(line)) for line in lines]
        if not data:
            break
    running.process.kill()
    at = time.monotonic()
    running.process.wait()
    return events, at


def shown(events: Events, until: float) -> str:
    """The text of the reply that was written last, as far as it was shown at a time."""
    text = ""
    for at, event in events:
        if event["event"] == "done":
            text = ""
        elif at <= until:
            text += event.get("content", "")
    return text


@pytest.mark.parametrize("number", range(KILLS))
def test_a_reply_survives_but_for_its_last_second(llmcli: Program, wide_model: Path, number: int) -> None:
    """Killed at a random moment: the question is there, and what was shown of the reply a second before."""
    after = random.Random(number).uniform(0, LONGEST)
    args = ("chat", "-m", wide_model, *ENDLESS, "--jsonl", "--session", "notes", "-p", "go on")
    with llmcli.started(*args) as running:
        events, at = killed_after(running, after)
    question, *reply = messages(session(llmcli, "notes").tree)
    assert question.content == "go on"
    stored = reply[0].content if reply else ""
    read = shown(events, at)
    assert stored.startswith(read) or read.startswith(stored)
    assert stored.startswith(shown(events, at - 1.0))


@pytest.mark.parametrize("number", range(max(1, KILLS // 4)))
def test_turns_survive(llmcli: Program, wide_model: Path, number: int) -> None:
    """Killed between and within short turns, twice in one session: each that was done is there."""
    moments = random.Random(number)
    kept: list[str] = []
    for _ in range(2):
        args = ("chat", "-m", wide_model, *SHORT, "--jsonl", "--session", "notes", "--turns", "-")
        with llmcli.started(*args, talks=True) as running:
            running.send(b"".join(b"turn %d\n" % n for n in range(3000)))
            events, _ = killed_after(running, moments.uniform(0, LONGEST / 2))
        replies = [event["message"]["content"] for _, event in events if event["event"] == "done"]
        done = [words for n, reply in enumerate(replies) for words in (f"turn {n}", reply)]
        said = [message.content for message in messages(session(llmcli, "notes").tree)]
        assert said[: len(kept)] == kept
        new = said[len(kept) :]
        assert new[: len(done)] == done
        assert len(new) <= len(done) + 4  # one turn was being written, one was not read here any more
        kept = said[: len(said) // 2 * 2]  # a question without a reply is stepped back from


def test_a_disk_without_room_for_the_message(llmcli: Program) -> None:
    """It is said before the model sees it, and the session is as it was."""
    yes = ("--grammar", 'root ::= "yes"', "--session", "notes")
    llmcli.process("chat", "-p", "hello", *yes).succeeded()
    ran = llmcli.process("chat", *yes, "-p", "long " * 20_000, shell='ulimit -f 64; "$@"')
    ran.failed(1, "sessions.db: ")
    assert "--no-save" in ran.hint
    assert [message.content for message in messages(session(llmcli, "notes").tree)] == ["hello", "yes"]
    llmcli.process("chat", "-p", "again", *yes).succeeded()
