"""A real pseudo-terminal with llmcli in it: keys go in, and what a person would see comes out."""

from __future__ import annotations

import sys
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

import pexpect
import pyte

from tests.cli.program import PATIENCE, Program, one_threaded

ROWS, COLUMNS = 120, 100
ENTER, TAB, CTRL_C, CTRL_D, CTRL_J, ALT_ENTER, UP = "\r", "\t", "\x03", "\x04", "\n", "\x1b\r", "\x1b[A"
PASTE_BEGINS, PASTE_ENDS = "\x1b[200~", "\x1b[201~"


class Terminal:
    """llmcli on a terminal of 120 rows and 100 columns. A context manager; leaving it ends the program."""

    def __init__(
        self,
        program: Program,
        *args: object,
        env: dict[str, str] | None = None,
        rows: int = ROWS,
        columns: int = COLUMNS,
        under: Sequence[str] = (),
    ) -> None:
        """`under` is a command that takes llmcli's as its last arguments and runs it."""
        self.received = b""
        """Everything that was sent to the terminal, byte for byte."""
        self._screen = _Screen(columns, rows, self.send)
        self._stream = pyte.ByteStream(self._screen)
        command = [*under, sys.executable, "-m", "llmcli", *map(str, one_threaded(args))]
        self._child = pexpect.spawn(
            command[0],
            command[1:],
            env=program.environ(TERM="xterm-256color") | (env or {}),
            cwd=str(program.home),
            dimensions=(rows, columns),
            echo=False,
        )
        self._child.delaybeforesend = None

    def send(self, keys: str | bytes) -> None:
        """Press keys."""
        self._child.send(keys)

    def resize(self, rows: int, columns: int) -> None:
        """Make the terminal another size."""
        self._screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def line(self, text: str) -> None:
        """Type a line and send it."""
        self.send(text + ENTER)

    def paste(self, text: str) -> None:
        """Paste a text; as terminals do, with marks around it where the program has asked for them."""
        marked = self.received.rfind(b"\x1b[?2004h") > self.received.rfind(b"\x1b[?2004l")
        pasted = text.replace("\n", "\r")
        self.send(PASTE_BEGINS + pasted + PASTE_ENDS if marked else pasted)

    def interrupt(self) -> None:
        """Press Ctrl-C while no line is being edited: the terminal makes a signal of it."""
        self.send(CTRL_C)

    def kill(self, number: int) -> None:
        """Send the program a signal."""
        self._child.kill(number)

    @property
    def reads_lines(self) -> bool:
        """Whether the terminal is as programs expect to find it: it edits lines, and gives them whole."""
        return bool(termios.tcgetattr(self._child.child_fd)[3] & termios.ICANON)

    @property
    def pid(self) -> int:
        """The program's process."""
        return int(self._child.pid)

    @property
    def shown(self) -> str:
        """What is on the screen, without the blanks at the ends of lines and of the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def cells(self) -> list[list[pyte.screens.Char]]:
        """Every cell of the screen, with its colours."""
        screen = self._screen
        return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]

    def sees(self, text: str, times: int = 1) -> None:
        """Wait until `text` is on the screen, `times` times."""
        self.waits(lambda: self.shown.count(text) >= times, repr(text))

    def waits(self, is_there: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + patience
        while not is_there():
            left = deadline - time.monotonic()
            assert left > 0 and self._reads(left), f"waited in vain for {what}; on the screen:\n{self.shown}"

    def settles(self, quiet: float = 0.2) -> None:
        """Read on until nothing comes for so many seconds: a screen may be drawn in several writes."""
        before = -1
        while len(self.received) != before:
            before = len(self.received)
            self._reads(quiet)

    def ends(self) -> int:
        """Wait for the program's end; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._reads(deadline - time.monotonic()):
            assert time.monotonic() < deadline, f"it does not end; on the screen:\n{self.shown}"
        self._child.wait()
        return int(self._child.exitstatus if self._child.signalstatus is None else -self._child.signalstatus)

    def _reads(self, timeout: float) -> bool:
        """Read what comes next; False at the program's end."""
        try:
            data = self._child.read_nonblocking(65536, max(0.0, timeout))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.received += data
        self._stream.feed(data)
        return True

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(pexpect.ExceptionPexpect):
            self._child.close(force=True)


class _Screen(pyte.Screen):
    """A screen that answers when it is asked where its cursor is."""

    def __init__(self, columns: int, lines: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        """Called by pyte with the answer."""
        self._answer(data)
