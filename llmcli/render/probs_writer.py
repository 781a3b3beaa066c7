"""A reply on a terminal, each token in the colour of its probability, or with a mark behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style

from llmcli.chat.reply import Generated
from llmcli.render.bars import prob_mark, prob_style
from llmcli.render.reply_writer import TextWriter
from llmcli.render.safe import safe


@dataclass
class ProbsWriter(TextWriter):
    """What can be shown after a token has the colour of that token."""

    shows_probs: ClassVar[bool] = True

    def token(self, event: Generated) -> None:
        """Write what can be shown, at once."""
        for text, thinking in event.shown:
            if self.shows_thinking or not thinking:
                self.begin_stretch(thinking)
                self.output.write_raw(self._coloured(safe(text), event.prob))
                self._last = text
        self.output.flush()

    def _coloured(self, text: str, prob: float | None) -> str:
        if prob is None:
            return text
        if not self.output.colors_output:
            return text + prob_mark(prob)
        style = Style.parse(prob_style(prob))
        return "\n".join(style.render(line) for line in text.split("\n"))
