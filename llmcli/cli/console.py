"""The streams, the terminal, and the one place that prints.

stdout carries the answer or the data, as exact bytes; everything else goes to stderr. On a terminal, text is
made safe before it is printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, BinaryIO, Literal, NoReturn, cast

from llmcli.errors import InputError, LlmcliError, OutputError
from llmcli.render.safe import safe, safe_line

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from llmcli.settings.config import Config

UNBROKEN = 1 << 16
"""The width of a pipe or a file, where no line is broken."""

ColorChoice = Literal["auto", "always", "never"]


class ReaderLeft(Exception):  # noqa: N818 - the reader's right, not an error
    """Nobody reads stdout any more. No BrokenPipeError: Typer would end the program with exit code 1."""


@dataclass
class Console:
    """Where input comes from and output goes, and what the output may look like.

    A stream that was closed before the program began is None.
    """

    stdin: BinaryIO | None
    stdout: BinaryIO | None
    stderr: BinaryIO | None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    color: ColorChoice = "auto"
    quiet: bool = False
    debug: bool = False
    before_sudden_end: Callable[[], None] = lambda: None
    """Called where the process ends at once: makes the terminal what it was."""

    @classmethod
    def of_process(cls) -> Console:
        """The console of this process."""
        stdin, stdout, stderr = (s.buffer if s else None for s in (sys.stdin, sys.stdout, sys.stderr))
        return cls(stdin, stdout, stderr)

    @cached_property
    def config(self) -> Config:
        """The config file, read when it is first asked for. Errors as `read_config`."""
        from llmcli.settings.config import read_config

        return read_config(self.environ)

    @property
    def reads_terminal(self) -> bool:
        """Whether stdin is a terminal."""
        return self.stdin is not None and self.stdin.isatty()

    @property
    def writes_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return self.stdout is not None and self.stdout.isatty()

    @property
    def notes_on_terminal(self) -> bool:
        """Whether stderr is a terminal."""
        return self.stderr is not None and self.stderr.isatty()

    def read(self) -> bytes:
        """All of stdin. Raises InputError where it can't be read."""
        if self.stdin is None:
            raise InputError("standard input is closed")
        try:
            return self.stdin.read()
        except OSError as error:
            raise InputError(f"can't read standard input: {error.strerror}") from None

    def write(self, data: str | bytes) -> None:
        """Write to stdout: bytes as they are, text made safe if it goes to a terminal.

        Raises OutputError where it can't be written, ReaderLeft when nobody reads any more.
        """
        if isinstance(data, str):
            data = (safe(data) if self.writes_terminal else data).encode("utf-8", "surrogateescape")
        self._put(data)

    def write_raw(self, text: str) -> None:
        """Write text that is known to be safe and may hold the colours of our own."""
        self._put(text.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Bring everything written to stdout out. Errors as `write`."""
        if self.stdout is not None:
            try:
                self.stdout.flush()
            except BrokenPipeError:
                raise ReaderLeft from None
            except OSError as error:
                raise OutputError(f"can't write to standard output: {error.strerror}") from None

    def note(self, text: str) -> None:
        """A notice on stderr; --quiet leaves it out."""
        if not self.quiet:
            self.say(text + "\n")

    def say(self, text: str) -> None:
        """Text on stderr, made safe; never fails."""
        self.say_raw(safe(text) if self.notes_on_terminal else text)

    def say_raw(self, text: str) -> None:
        """Text on stderr that is known to be safe; never fails."""
        if self.stderr is not None:
            try:
                self.stderr.write(text.encode("utf-8", "backslashreplace"))
                self.stderr.flush()
            except OSError:
                pass  # there is nowhere left to say it

    def show_error(self, error: LlmcliError) -> None:
        """`error: ...` and `hint: ...` on stderr."""
        red, plain = ("\x1b[1;31m", "\x1b[0m") if self.colors_notes else ("", "")
        self.say_raw(f"{red}error:{plain} {safe_line(error.message)}\n")
        if error.hint:
            self.say_raw(f"hint: {safe_line(error.hint)}\n")

    def end_at_once(self, error: LlmcliError) -> NoReturn:
        """End the process with an error where nothing more can be done: neither tidied up nor gone on."""
        with suppress(LlmcliError, ReaderLeft):
            self.flush()
        self.before_sudden_end()
        self.show_error(error)
        os._exit(error.exit_code)

    def abandon_output(self) -> None:
        """Nobody reads stdout any more: let the interpreter's last flush go nowhere."""
        if self.stdout is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stdout.fileno())
            os.close(nowhere)

    @property
    def colors_output(self) -> bool:
        """Whether stdout gets colours."""
        return self._colors(self.writes_terminal)

    @property
    def colors_notes(self) -> bool:
        """Whether stderr gets colours."""
        return self._colors(self.notes_on_terminal)

    @property
    def moves_cursor(self) -> bool:
        """Whether stdout is a terminal on which lines can be drawn anew."""
        return self.writes_terminal and self.environ.get("TERM") != "dumb"

    def size(self) -> tuple[int, int]:
        """The columns and rows of the terminal that is stdout."""
        return _size(self.stdout)

    def as_text(self, *, notes: bool = False) -> IO[str]:
        """stdout, or with `notes` stderr, as those libraries want it that print by themselves."""
        return cast(IO[str], _TextOn(self, notes=notes))

    def rich(self, *, notes: bool = False) -> RichConsole:
        """A rich console on stdout, or with `notes` on stderr. Only safe text may be given to it."""
        from rich.console import Console as RichConsole

        stream = self.stderr if notes else self.stdout
        terminal = self.notes_on_terminal if notes else self.writes_terminal
        colors = self.colors_notes if notes else self.colors_output
        return RichConsole(
            file=self.as_text(notes=notes),
            force_terminal=terminal or colors,
            no_color=not colors,
            color_system="auto" if terminal and colors else "standard" if colors else None,
            width=_size(stream)[0] if terminal else UNBROKEN,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def _colors(self, terminal: bool) -> bool:
        if self.color != "auto":
            return self.color == "always"
        return terminal and not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"

    def _put(self, data: bytes) -> None:
        if self.stdout is None:
            raise OutputError("can't write to standard output: it is closed")
        try:
            # Without a buffer (python -u) a write may take only part of what it is given.
            left = memoryview(data)
            while left:
                left = left[self.stdout.write(left) :]
        except BrokenPipeError:
            raise ReaderLeft from None
        except OSError as error:
            raise OutputError(f"can't write to standard output: {error.strerror}") from None


@dataclass
class _TextOn:
    """The file that rich and Typer write to: one of the console's streams."""

    console: Console
    notes: bool
    encoding: str = "utf-8"

    def write(self, text: str) -> int:
        (self.console.say_raw if self.notes else self.console.write_raw)(text)
        return len(text)

    def flush(self) -> None:
        if not self.notes:
            self.console.flush()

    def isatty(self) -> bool:
        return self.console.notes_on_terminal if self.notes else self.console.writes_terminal

    def fileno(self) -> int:
        stream = self.console.stderr if self.notes else self.console.stdout
        if stream is None:
            raise OSError("closed")
        return stream.fileno()


def _size(stream: BinaryIO | None) -> tuple[int, int]:
    """The terminal's columns and rows; 80 and 24 where it does not say."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno()) if stream else (0, 0)
    except OSError:
        columns, rows = 0, 0
    return columns or 80, rows or 24
