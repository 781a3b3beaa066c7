"""The loop of `llmcli chat` on a terminal: read a message or a command, answer it, until the user leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from llmcli.chat.conversation import Conversation
from llmcli.chat.refill import Ahead, Refill
from llmcli.chat.session import Session
from llmcli.engine.protocol import Progress
from llmcli.errors import InterruptedByUser, LlmcliError
from llmcli.render.output import Output
from llmcli.render.reply_writer import ReplyWriter
from llmcli.render.safe import safe_line
from llmcli.repl.commands import COMMANDS, Leave, run_command
from llmcli.repl.commands.saved import greet
from llmcli.repl.input import Input, fitted
from llmcli.repl.names import names
from llmcli.repl.plain_input import PlainInput


@dataclass
class Repl:
    """A conversation with someone at a terminal.

    No error ends it but that of a session whose messages can't be read: what went wrong is said, the
    conversation is as it was, and the message is there to be sent again.
    """

    output: Output
    session: Session
    view: ReplyWriter
    progress: Callable[[], AbstractContextManager[Progress | None]]
    load: Callable[[str], None]
    """Goes on with the model that a reference names; where that fails, with the present one."""
    history: Path | None = None
    attached: str = ""
    exported: set[Path] = field(default_factory=set, init=False)
    """Files that this chat was written to, and may be again."""
    unsent: str = field(default="", init=False)
    is_editing: bool = field(default=False, init=False)
    """Whether the next message takes the place of the last one."""
    _counted: tuple[object, str] = field(default=(None, ""), init=False)
    _reader: Input | PlainInput = field(init=False)

    @property
    def conversation(self) -> Conversation:
        """The conversation as the model sees it."""
        return self.session.conversation

    def __post_init__(self) -> None:
        self.refill = Refill(self.conversation.engine, self.conversation.abort)

    def run(self) -> None:
        """Read and answer until Ctrl-D or /exit."""
        abort = self.conversation.abort
        try:
            with abort.installed():
                self._loop()
        finally:
            while self.refill.busy:
                with suppress(KeyboardInterrupt), abort.installed(), self.progress() as on_wait:
                    self.refill.stop(on_wait)

    def _loop(self) -> None:
        self._reader = reader = self._input()
        told = ""
        self.output.note(reader.greeting)
        greet(self)
        while True:
            # The line editor has its own way with Ctrl-C, and `_handle` another: between them it is nothing.
            self.conversation.abort.disregard()
            if reader.problem != told:
                told = reader.problem
                self.output.note(f"notice: {told}")
            try:
                text = reader.read(self.unsent)
            except KeyboardInterrupt:
                self.unsent, self.is_editing = "", False
                continue
            except EOFError:
                return
            self.unsent = ""
            try:
                self._handle(text)
            except Leave:
                return

    def answer(self, text: str | None, taken: Sequence[int] = (), *, go_on: bool = False) -> None:
        """Write the reply to `text`; with None another one to the last message, or `go_on` with it.

        Another reply begins with `taken`.
        """
        conversation, session = self.conversation, self.session
        before = conversation.messages
        turn, self.is_editing = session.edit if self.is_editing else session.ask, False
        typing = self._reader.taking_in(lambda: self.view.cancelled)
        with typing, self.progress() as on_prefill:
            if go_on:
                events = session.go_on(on_prefill=on_prefill)
            elif text is None:
                events = session.retry(taken=taken, on_prefill=on_prefill)
            else:
                events = turn(self._with_attachment(text), on_prefill=on_prefill)
            if self.view.shows_probs:
                from llmcli.repl.probabilities import with_probs

                events = with_probs(events, conversation.engine)
            with closing(events):
                self.view.show_all(events)
        if conversation.messages is not before:
            self.attached = ""
            if self.view.cancelled:
                self.output.note("stopped; what was said is kept")
            else:
                self.look_ahead()
        else:
            self.put_back(text or "")
            self.output.note("stopped before anything was said; the conversation is as it was")

    def look_ahead(self) -> None:
        """Make the cut that the next turn is likely to need, and have it evaluated while the user types."""
        conversation = self.conversation
        try:
            for event in conversation.look_ahead():
                if isinstance(event, Ahead):
                    self.refill.start(event)
                else:
                    self.view.show(event)
        except (KeyboardInterrupt, InterruptedByUser):
            self.output.note("interrupted; nothing has left the window")
        except LlmcliError as error:  # the reply before it is kept all the same
            self.output.show_error(error)

    def switch(self, reference: str) -> None:
        """Go on with another model."""
        self.load(reference)
        self.refill = Refill(self.conversation.engine, self.conversation.abort)

    def put_back(self, message: str) -> None:
        """Have a message stand at the next prompt, spelled so that Enter sends it again."""
        self.unsent = f"/{message}" if message.startswith("/") else message

    def status(self, columns: int) -> str:
        """The line below the input: the model, what was dropped, and how full the window is."""
        conversation, engine = self.conversation, self.conversation.engine
        name = safe_line(engine.tokenizer.name)
        if self.session.opening is not None and not self.session.opening.is_read:
            return fitted(name, columns)
        self.session.begin()
        dropped = len(conversation.window.outside(conversation.messages))
        outside = f"{dropped} messages outside  " if dropped else ""
        used = f"{outside}{self._used()}/{engine.context_size} tokens"
        return f"{fitted(name, max(1, columns - len(used) - 2))}  {used}"

    def _used(self) -> str:
        """The tokens that /context counts; the line is drawn at every key, and they are counted once."""
        conversation = self.conversation
        messages, window = conversation.messages, conversation.window
        cut, pinned = window.cut(messages), frozenset(window.pinned)
        kwargs = repr(conversation.template_kwargs)
        state = conversation.engine, tuple(messages), cut, pinned, kwargs
        if self._counted[0] != state:
            self._counted = state, self._count_used()
        return self._counted[1]

    def _count_used(self) -> str:
        conversation = self.conversation
        try:
            if conversation.is_far_over:
                return f">{conversation.engine.context_size}"
            return str(conversation.tally().used)
        except LlmcliError:
            return str(len(conversation.engine.cached))

    def _input(self) -> Input | PlainInput:
        if not self.output.moves_cursor:
            self._while_typing()  # nothing can be done while the terminal reads a line
            return PlainInput(self.history, self.output, self.conversation.abort)
        commands = list(COMMANDS.values())
        return Input(
            self.history, commands, names(self), self.status, self.output.colors_output, self._while_typing
        )

    def _while_typing(self) -> None:
        """Do what the first prompt did not wait for, in another thread."""
        opening = self.session.opening  # None as soon as the main thread has begun
        if opening is not None:
            opening.whole()
        self.view.prepare()

    def _handle(self, text: str) -> None:
        """A line of input: a command, a message, or nothing."""
        if not text.strip():
            return
        is_command = text.startswith("/") and not text.startswith("//")
        try:
            with self.conversation.abort.installed():
                with self.progress() as on_wait:
                    self.refill.stop(on_wait)  # from here on the engine is ours again
                self.session.begin()
                if is_command:
                    self.is_editing = False
                    run_command(self, text)
                else:
                    self.answer(text.removeprefix("/") if text.startswith("//") else text)
        except (KeyboardInterrupt, InterruptedByUser):
            self.output.note("interrupted; nothing was changed")
            self.unsent = "" if is_command else text
        except LlmcliError as error:
            if self.session.opening is not None:  # nothing can be gone on with
                raise
            self.output.show_error(error)
            self.unsent = "" if is_command else text

    def _with_attachment(self, text: str) -> str:
        return f"{self.attached}\n\n{text}" if self.attached else text
