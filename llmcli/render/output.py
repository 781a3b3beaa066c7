"""What a view writes to: the console, as those see it who are handed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmcli.errors import LlmcliError

if TYPE_CHECKING:
    from rich.console import Console as RichConsole


class Output(Protocol):
    """stdout for the answer, stderr for everything else."""

    @property
    def writes_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        ...

    @property
    def notes_on_terminal(self) -> bool:
        """Whether stderr is a terminal."""
        ...

    @property
    def colors_output(self) -> bool:
        """Whether stdout gets colours."""
        ...

    @property
    def moves_cursor(self) -> bool:
        """Whether stdout is a terminal on which lines can be drawn anew."""
        ...

    def write(self, data: str | bytes) -> None:
        """Write to stdout: text is made safe on a terminal, bytes go as they are."""
        ...

    def write_raw(self, text: str) -> None:
        """Write text to stdout that is known to be safe."""
        ...

    def rich(self, *, notes: bool = False) -> RichConsole:
        """A rich console on stdout, or with `notes` on stderr; only safe text may be given to it."""
        ...

    def size(self) -> tuple[int, int]:
        """The columns and rows of the terminal that is stdout."""
        ...

    def flush(self) -> None:
        """Bring out what was written."""
        ...

    def say(self, text: str) -> None:
        """Write to stderr, made safe."""
        ...

    def note(self, text: str) -> None:
        """Write a line to stderr, unless --quiet."""
        ...

    def show_error(self, error: LlmcliError) -> None:
        """Write `error:` and `hint:` to stderr."""
        ...
