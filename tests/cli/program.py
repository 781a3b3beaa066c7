"""Running llmcli as a user does: in this process where only bytes go in and out, else in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from llmcli.cli.console import Console
from llmcli.cli.main import main

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds after which a program that should have ended or answered counts as hanging."""

Arguments = Sequence[object]


@dataclass(frozen=True)
class Ran:
    """What a run left behind."""

    exit_status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """stdout as text."""
        return self.stdout.decode()

    @property
    def json(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.stdout)

    @property
    def records(self) -> list[Any]:
        """stdout as a JSON document a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> str:
        """The words of the one `error:` line; fails where there is none, several, or a traceback."""
        assert "Traceback" not in self.stderr, self.stderr
        lines = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.stderr
        return lines[0].removeprefix("error: ")

    @property
    def hint(self) -> str:
        """The words of the one `hint:` line."""
        [line] = [line for line in self.stderr.splitlines() if line.startswith("hint: ")]
        return line.removeprefix("hint: ")

    def failed(self, exit_status: int, words: str = "") -> Ran:
        """Assert that it failed as the contract says: nothing on stdout, one error, this exit status."""
        assert self.exit_status == exit_status, (self.exit_status, self.stderr)
        assert self.stdout == b""
        assert words in self.error
        return self

    def succeeded(self) -> Ran:
        """Assert that it went well, and said nothing of errors."""
        assert self.exit_status == 0, self.stderr
        assert "error:" not in self.stderr
        return self


@dataclass(frozen=True)
class Program:
    """llmcli in a home and with a model of its own; nothing of this process's environment reaches it."""

    home: Path
    model: Path | None = None

    def environ(self, **more: str) -> dict[str, str]:
        """The environment it runs in."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LLMCLI_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
        }
        if self.model is not None:
            environ["LLMCLI_MODEL"] = str(self.model)
        return environ | more

    def __call__(self, *args: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
        """Run it within this process, with pipes for streams."""
        streams = BytesIO(stdin), BytesIO(), BytesIO()
        status = main(
            [str(arg) for arg in one_threaded(args)], Console(*streams, environ=self.environ(**env or {}))
        )
        return Ran(status, streams[1].getvalue(), streams[2].getvalue().decode())

    def process(
        self, *args: object, stdin: bytes = b"", env: Mapping[str, str] | None = None, shell: str = ""
    ) -> Ran:
        """Run it in a process of its own. `shell` is a bash command in which `"$@"` is llmcli."""
        command = [sys.executable, "-m", "llmcli", *map(_argument, one_threaded(args))]
        if shell:
            command = ["bash", "-o", "pipefail", "-c", shell, "bash", *command]
        done = subprocess.run(
            command,
            input=stdin,
            env=self.environ(**env or {}),
            cwd=self.home,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    @contextmanager
    def started(self, *args: object, talks: bool = False) -> Iterator[Running]:
        """Start it in a process of its own; one that `talks` has a stdin that stays open.

        It is killed at the end of the block, or after PATIENCE.
        """
        command = [sys.executable, "-m", "llmcli", *map(_argument, one_threaded(args))]
        with subprocess.Popen(
            command,
            env=self.environ(),
            cwd=self.home,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as process:
            watchdog = threading.Timer(PATIENCE, process.kill)
            watchdog.start()
            try:
                yield Running(process)
            finally:
                watchdog.cancel()
                process.kill()


@dataclass(frozen=True)
class Running:
    """A process that runs."""

    process: subprocess.Popen[bytes]

    def send(self, data: bytes) -> None:
        """Write to its stdin, which stays open."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def line(self) -> bytes:
        """The next line of its stdout, as soon as it comes."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def read(self, size: int) -> bytes:
        """The next bytes of its stdout, as soon as any come: at most `size`."""
        assert self.process.stdout is not None
        return self.process.stdout.read(size) or b""

    def interrupt(self) -> float:
        """Send Ctrl-C; the time at which it was sent."""
        self.process.send_signal(signal.SIGINT)
        return time.monotonic()

    def end(self, before: bytes = b"") -> Ran:
        """Close its stdin and wait for its end; `before` is what was read of its stdout already."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE)
        return Ran(self.process.returncode, before + stdout, stderr.decode())


def one_threaded(args: Arguments) -> list[object]:
    """The arguments, with -t 1: on a busy machine llama.cpp's threads wait for each other for long."""
    at = next((at for at, arg in enumerate(args) if arg in ("chat", "probs", "bench")), None)
    return list(args) if at is None else [*args[: at + 1], "-t", "1", *args[at + 1 :]]


def _argument(arg: object) -> str | bytes:
    return arg if isinstance(arg, bytes) else str(arg)
