"""Where the events of a reply go: to a person, to a program as one object, or as a stream of events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from textwrap import fill
from typing import ClassVar

from llmcli.chat.reply import Dropped, Event, Generated, Notice, Reply
from llmcli.chat.tally import Tally
from llmcli.engine.offload import Offload
from llmcli.render.data import to_json
from llmcli.render.output import Output
from llmcli.render.reply import reply_data, stats_line, token_event
from llmcli.render.safe import safe
from llmcli.render.window import tally_line

DIM, PLAIN = "\x1b[2m", "\x1b[0m"


@dataclass
class ReplyWriter(ABC):
    """Shows events as they come."""

    output: Output
    model: str
    load_seconds: float
    offload: Offload
    stats: bool
    session: str | None = None
    """What the session is called where it was given a name."""
    shows_thinking: bool = True
    shows_probs: ClassVar[bool] = False
    """Whether events are to come with probabilities."""
    cancelled: bool = False
    """Whether Ctrl-C ended the last reply."""
    last: Reply | None = None
    tally: Callable[[], Tally] | None = field(default=None, kw_only=True)
    """Says what the window is used for."""

    def prepare(self) -> None:  # noqa: B027 - most views are ready
        """Do while nobody waits what the first reply would have to wait for."""

    def show_all(self, events: Iterable[Event]) -> None:
        """Show the events of a turn as they come; one that fails is left at the beginning of a line."""
        try:
            for event in events:
                self.show(event)
        except BaseException:
            self.break_off()
            raise

    def break_off(self) -> None:  # noqa: B027 - most views show nothing by halves
        """Leave a turn in its middle."""

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Generated):
            self.token(event)
        elif isinstance(event, Notice):
            self.notice(event)
        else:
            self.last = event
            self.cancelled = event.finish_reason == "cancelled"
            self.reply(event)
            if self.stats:
                figures = stats_line(event, self.offload)
                if self.output.notes_on_terminal:
                    figures = fill(figures, self.output.size()[0], break_on_hyphens=False)
                self.output.say(figures + "\n")
                if self.tally:
                    self.output.say(f"window: {tally_line(self.tally())}\n")

    def data(self, reply: Reply) -> dict[str, object]:
        """A reply for JSON."""
        return reply_data(reply, self.model, self.load_seconds, self.offload, self.session)

    @abstractmethod
    def token(self, event: Generated) -> None:
        """Show one token."""

    @abstractmethod
    def reply(self, reply: Reply) -> None:
        """Show what is left to show at the end of a reply."""

    def notice(self, notice: Notice) -> None:
        """Show a notice, on a line of its own."""
        self.break_off()
        self.output.note(f"notice: {notice.text}")

    def tell_the_end(self, reply: Reply) -> None:
        """Say why a reply stops where the model did not end it."""
        if reply.finish_reason == "length":
            full = reply.context_used >= reply.context_size
            why = "the context window is full" if full else "the limit of --predict was reached"
            self.output.note(f"notice: the reply stops here: {why}")


@dataclass
class TextWriter(ReplyWriter):
    """The reply as text, streamed; thinking is dimmed, or on stderr where stdout is no terminal."""

    _last: str = "\n"
    _last_thought: str = "\n"
    _in_thinking: bool = False

    def token(self, event: Generated) -> None:
        """Write what can be shown, at once."""
        for text, thinking in event.shown:
            if thinking and not self.shows_thinking:
                continue
            if self.output.writes_terminal:
                self._on_terminal(text, thinking)
            elif thinking:
                self.output.say(text)
                self._last_thought = text
            else:
                self.output.write(text)
                self._last = text
        self.output.flush()

    def reply(self, reply: Reply) -> None:
        """End the last line."""
        self.break_off()
        self.tell_the_end(reply)

    def break_off(self) -> None:
        """End the last line, on stdout and on stderr."""
        if not self._last.endswith("\n"):
            self.output.write("\n")
        if not self._last_thought.endswith("\n"):
            self.output.say("\n")
        self._last = self._last_thought = "\n"
        self._in_thinking = False
        self.output.flush()

    def begin_stretch(self, thinking: bool) -> None:
        """Put a blank line between the thinking and the answer."""
        if self._in_thinking and not thinking:
            self.output.write("\n\n" if not self._last.endswith("\n") else "\n")
        self._in_thinking = thinking

    def _on_terminal(self, text: str, thinking: bool) -> None:
        self.begin_stretch(thinking)
        shown = safe(text)
        self.output.write_raw(f"{DIM}{shown}{PLAIN}" if thinking and self.output.colors_output else shown)
        self._last = text


@dataclass
class JsonWriter(ReplyWriter):
    """One object a reply, one line each."""

    def token(self, event: Generated) -> None:
        """Nothing: the object comes at the end."""

    def reply(self, reply: Reply) -> None:
        """Write the object."""
        self.output.write_raw(to_json(self.data(reply)))
        self.output.flush()


@dataclass
class EventWriter(ReplyWriter):
    """Every event as it happens, one line each."""

    def token(self, event: Generated) -> None:
        """Write a `token` event."""
        self._put(token_event(event))

    def notice(self, notice: Notice) -> None:
        """Write a `notice` event; what left the window is said to the person, too."""
        data: dict[str, object] = {"event": "notice", "text": notice.text}
        if isinstance(notice, Dropped):
            data |= {"dropped_messages": notice.messages, "dropped_tokens": notice.tokens}
            super().notice(notice)
        self._put(data)

    def reply(self, reply: Reply) -> None:
        """Write the `done` event."""
        self._put({"event": "done", **self.data(reply)})

    def _put(self, data: dict[str, object]) -> None:
        self.output.write_raw(to_json(data))
        self.output.flush()


def writer(
    output: Output,
    model: str,
    load_seconds: float,
    offload: Offload,
    session: str | None,
    *,
    json: bool,
    jsonl: bool,
    stats: bool,
    think: str,
    markdown: bool,
    probs: bool,
) -> ReplyWriter:
    """The writer that the options ask for; `markdown` needs a terminal that can move its cursor."""
    if json:
        return JsonWriter(output, model, load_seconds, offload, stats, session)
    if jsonl:
        return EventWriter(output, model, load_seconds, offload, stats, session)
    shows_thinking = think == "show"
    if probs and output.writes_terminal:
        from llmcli.render.probs_writer import ProbsWriter

        return ProbsWriter(output, model, load_seconds, offload, stats, session, shows_thinking)
    if markdown:
        # Here, because the others do without rich.
        from llmcli.render.markdown_writer import MarkdownWriter

        return MarkdownWriter(output, model, load_seconds, offload, stats, session, shows_thinking)
    return TextWriter(output, model, load_seconds, offload, stats, session, shows_thinking)
