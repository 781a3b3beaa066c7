"""The line that the user types on: several lines, a history kept over runs, completion of commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth

from llmcli.repl.commands import Command

PROMPT, CONTINUED = ">>> ", "... "


class Input:
    """Reads one message after the other. `problem` says why the history can't be kept, if so."""

    def __init__(
        self, history: Path | None, commands: Sequence[Command], status: Callable[[], str], colors: bool
    ) -> None:
        self.problem = ""
        self._session: PromptSession[str] = PromptSession(
            history=self._history(history),
            multiline=True,
            prompt_continuation=CONTINUED,
            key_bindings=_keys(),
            completer=_Commands(commands),
            complete_while_typing=False,
            bottom_toolbar=status,
            enable_open_in_editor=True,
            color_depth=None if colors else ColorDepth.DEPTH_1_BIT,
        )

    def read(self, unsent: str = "") -> str:
        """The next message; the prompt begins with `unsent`.

        Raises KeyboardInterrupt on Ctrl-C, EOFError on Ctrl-D in an empty line.
        """
        return self._session.prompt(PROMPT, default=unsent)

    def _history(self, path: Path | None) -> History:
        if path is None:
            return InMemoryHistory()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What people write to a model is theirs alone to read.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            self._no_history(path, error)
            return InMemoryHistory()
        return _KeptHistory(path, self._no_history)

    def _no_history(self, path: Path, error: OSError) -> None:
        self.problem = f"the history is not kept: {path}: {error.strerror}"


class _KeptHistory(FileHistory):
    """A history in a file; where the disk takes no more, `on_problem` hears of it and memory serves."""

    def __init__(self, path: Path, on_problem: Callable[[Path, OSError], None]) -> None:
        super().__init__(str(path))
        self._path, self._on_problem = path, on_problem

    def store_string(self, string: str) -> None:
        """Called with each line that was sent."""
        try:
            super().store_string(string)
        except OSError as error:
            self._on_problem(self._path, error)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _add_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


class _Commands(Completer):
    """Completes the first word of a line that begins with a slash."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The commands that begin with what is written."""
        text = document.text_before_cursor
        if text.startswith("/") and " " not in text:
            for command in self._commands:
                if command.name.startswith(text):
                    yield Completion(command.name, -len(text), command.usage, display_meta=command.help)
