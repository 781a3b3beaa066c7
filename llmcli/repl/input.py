"""The line that the user types on: several lines, a history kept over runs, completion, help below it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from prompt_toolkit import Application, PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.utils import get_cwidth

from llmcli.errors import LlmcliError
from llmcli.repl.commands import Command
from llmcli.repl.completion import CommandCompleter, Names, begun_command
from llmcli.repl.history import open_history
from llmcli.repl.keyboard import mark_pastes
from llmcli.repl.typed_ahead import taken_in

PROMPT, CONTINUED = ">>> ", "... "


class Input:
    """Reads one message after the other. `problem` says why the history can't be kept, if so.

    `names` are what arguments of commands can be completed to. `when_idle` is called once, in a thread of
    its own, when the first prompt is there; an LlmcliError that it raises, `read` raises too.
    """

    greeting = "Enter sends, Alt-Enter adds a line, Ctrl-C stops a reply, Ctrl-D leaves; /help"

    def __init__(
        self,
        history: Path | None,
        commands: Sequence[Command],
        names: Names,
        status: Callable[[int], str],
        colors: bool,
        when_idle: Callable[[], None],
    ) -> None:
        self.problem = ""
        self._when_idle = when_idle
        self._failed: LlmcliError | None = None
        self._commands, self._status = commands, status
        self._session: PromptSession[str] = PromptSession(
            history=open_history(history, self._no_history),
            multiline=True,
            prompt_continuation=CONTINUED,
            key_bindings=_keys(),
            completer=CommandCompleter(commands, names),
            complete_while_typing=False,
            bottom_toolbar=self._bottom_line,
            enable_open_in_editor=True,
            enable_suspend=True,
            color_depth=None if colors else ColorDepth.DEPTH_1_BIT,
        )
        self._session.app.after_render += self._idle

    def read(self, unsent: str = "") -> str:
        """The next message; the prompt begins with `unsent`.

        Raises KeyboardInterrupt on Ctrl-C, EOFError on Ctrl-D in an empty line.
        """
        try:
            return self._session.prompt(
                PROMPT, default=unsent, handle_sigint=False, pre_run=self._leave_failed
            )
        finally:
            mark_pastes()

    def taking_in(self, was_stopped: Callable[[], bool]) -> AbstractContextManager[None]:
        """Within the block no terminal is too full of what is typed to hear Ctrl-C: see `taken_in`."""
        return taken_in(self._session.app.input, was_stopped)

    def _idle(self, app: Application[str]) -> None:
        """The first prompt is there: from now on the user takes their time."""
        app.after_render -= self._idle
        with suppress(RuntimeError):  # no thread may be begun any more
            threading.Thread(target=self._do_when_idle, args=(app,), daemon=True).start()

    def _do_when_idle(self, app: Application[str]) -> None:
        then = app.invalidate  # the status may say more now
        try:
            self._when_idle()
        except LlmcliError as error:
            self._failed, then = error, self._leave_failed
        # Of the prompt that is there, if one is. It may be about to end; then the next one begins with that.
        loop = app.loop
        with suppress(RuntimeError):
            if loop is not None:
                loop.call_soon_threadsafe(then)

    def _leave_failed(self) -> None:
        """Have the prompt that is there raise what `when_idle` has raised, if it has."""
        app = self._session.app
        if self._failed is not None and app.future is not None and not app.future.done():
            app.exit(exception=self._failed)

    def _bottom_line(self) -> str:
        """How the command that is being typed is written; else the state of things."""
        app = get_app()
        columns = app.output.get_size().columns
        command = begun_command(self._commands, app.current_buffer.document.text)
        return fitted(f"{command.usage}  {command.help}", columns) if command else self._status(columns)

    def _no_history(self, path: Path, error: OSError) -> None:
        self.problem = f"the history is not kept: {path}: {error.strerror}"


def _keys() -> KeyBindings:
    keys = KeyBindings()

    # Enter in a search through the history ends the search.
    @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _add_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def fitted(text: str, columns: int) -> str:
    """The beginning of a text, as much as a line of so many cells holds."""
    if get_cwidth(text) <= columns:
        return text
    while text and get_cwidth(text) >= columns:
        text = text[:-1]
    return text + "…"
