"""Input on a terminal that can do nothing (TERM=dumb): the terminal's own line, and not one escape byte."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from llmcli.engine.interrupt import AbortFlag
from llmcli.render.output import Output
from llmcli.repl.history import open_history
from llmcli.repl.input import CONTINUED, PROMPT
from llmcli.repl.keyboard import echoed


class PlainInput:
    """Reads one message after the other; a line that ends in a backslash goes on in the next."""

    greeting = "Enter sends, a backslash before it adds a line, Ctrl-C stops a reply, Ctrl-D leaves; /help"

    def __init__(self, history: Path | None, output: Output, abort: AbortFlag) -> None:
        self.problem = ""
        self._output, self._abort = output, abort
        self._history = open_history(history, self._no_history)

    def read(self, unsent: str = "") -> str:
        """The next message; with `unsent` an empty line means that one.

        Raises KeyboardInterrupt on Ctrl-C, EOFError on Ctrl-D in an empty line.
        """
        if unsent:
            self._output.note(f"an empty line sends again: {unsent}")
        try:
            line = self._line(PROMPT)
            lines = [line]
            while line.endswith("\\"):
                line = self._line(CONTINUED)
                lines.append(line)
        except KeyboardInterrupt:
            self._output.write("\n")
            raise
        text = "\n".join([*(part[:-1] for part in lines[:-1]), lines[-1]]) or unsent
        if text.strip():
            self._history.store_string(text)
        return text

    def taking_in(self, _was_stopped: Callable[[], bool]) -> AbstractContextManager[None]:
        """Nothing is: the terminal edits the lines."""
        return nullcontext()

    def _line(self, prompt: str) -> str:
        self._output.write(prompt)
        self._output.flush()
        with echoed(), self._abort.installed():
            line = sys.stdin.buffer.readline()
        if not line:
            self._output.write("\n")
            raise EOFError
        # Not sys.stdin's own decoding: in most locales it raises an error for bytes that are no text.
        return line.decode(sys.stdin.encoding, "replace").removesuffix("\n")

    def _no_history(self, path: Path, error: OSError) -> None:
        self.problem = f"the history is not kept: {path}: {error.strerror}"
