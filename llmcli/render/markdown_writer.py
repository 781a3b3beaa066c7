"""A reply on a terminal as Markdown, drawn while it is written; thinking is dimmed, or only counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from llmcli.chat.reply import Generated, Reply
from llmcli.render.live import LiveLines
from llmcli.render.reply_writer import DIM, PLAIN, ReplyWriter
from llmcli.render.safe import safe

if TYPE_CHECKING:
    from llmcli.render.markdown_view import MarkdownView


@dataclass
class MarkdownWriter(ReplyWriter):
    """Draws the answer block by block."""

    _view: MarkdownView | None = None
    _thoughts: str = ""
    """The end of the thinking that is on the screen."""
    _n_hidden: int = 0
    _hidden: LiveLines = field(default_factory=LiveLines)

    def prepare(self) -> None:
        """Import what draws Markdown: it takes longer than all that comes before the first prompt."""
        import_module("llmcli.render.markdown_view")

    def token(self, event: Generated) -> None:
        """Show what can be shown, at once."""
        for text, thinking in event.shown:
            if not thinking:
                self._answer(text)
            elif self.shows_thinking:
                self._think(text)
            else:
                self._n_hidden += 1
                self.output.write_raw(self._hidden.show([self._dim(f"thinking: {self._n_hidden} tokens")]))
        self.output.flush()

    def reply(self, reply: Reply) -> None:
        """End the last block."""
        self.break_off()
        self.tell_the_end(reply)

    def break_off(self) -> None:
        """Draw what there is for good, and begin a new line."""
        self._end_thinking("")
        if self._view is not None:
            self.output.write_raw(self._view.end())
            self._view = None
        self.output.flush()

    def _answer(self, text: str) -> None:
        self._end_thinking("\n")
        if self._view is None:
            from llmcli.render.markdown_view import MarkdownView

            self._view = MarkdownView(self.output.rich(), self.output.size)
        if shown := self._view.push(text):
            self.output.write_raw(shown)

    def _think(self, text: str) -> None:
        self.output.write_raw(self._dim(safe(text)))
        self._thoughts = (self._thoughts + text)[-1:]

    def _end_thinking(self, gap: str) -> None:
        """Begin a new line after the thinking, with a `gap` before the answer; a count is taken away."""
        self.output.write_raw(self._hidden.keep([]))
        if self._thoughts:
            self.output.write_raw(("" if self._thoughts == "\n" else "\n") + gap)
        self._thoughts, self._n_hidden = "", 0

    def _dim(self, text: str) -> str:
        return f"{DIM}{text}{PLAIN}" if self.output.colors_output else text
