"""A conversation: its messages, and the turns that add to them."""

from __future__ import annotations

from collections.abc import Generator as Events
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import partial

from llmcli.chat.fitting import Fitted, Fitting
from llmcli.chat.messages import ASSISTANT, SYSTEM, USER, Message
from llmcli.chat.prompt import Prompt
from llmcli.chat.refill import Ahead
from llmcli.chat.reply import NOT_BEGUN, Begun, Event, Notice, Reply
from llmcli.chat.spelling import Spelling, prompt_ids, whole_characters
from llmcli.chat.tally import Tally, take_tally
from llmcli.chat.template import ChatTemplate
from llmcli.chat.thinking import OPEN
from llmcli.chat.turn import take_turn
from llmcli.chat.window import Window, split
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.plan import common_prefix
from llmcli.engine.protocol import Generator, Progress
from llmcli.errors import TemplateError, UsageError, WindowFullError
from llmcli.settings.sampling import SEEDS, SamplingOptions
from llmcli.settings.window import WindowOptions
from llmcli.tokens.literal import remembering
from llmcli.tokens.tokenizer import to_bytes

__all__ = ["Conversation", "prompt_ids"]

MUCH = 8
"""Characters for each token of a window: a text of more hardly ever has room in it."""

NOTHING_WRITTEN: tuple[Sequence[int], Message | None] = ((), None)


@dataclass
class Conversation:
    """Messages, and the engine that answers them.

    A turn that fails or produces nothing leaves the messages as they were. All of them stay, also those that
    have left the window: what the model sees of them is the window's affair.
    """

    engine: Generator
    template: ChatTemplate
    sampling: SamplingOptions
    abort: AbortFlag
    template_kwargs: Mapping[str, object] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    n_replies: int = 0
    window_options: InitVar[WindowOptions | None] = None
    _known: Sequence[int] = ()
    _written: tuple[Sequence[int], Message | None] = NOTHING_WRITTEN
    _told_merged: bool = False

    def __post_init__(self, window_options: WindowOptions | None) -> None:
        self._open_window(self.engine, window_options or WindowOptions())

    @property
    def system(self) -> str:
        """The system message's text, empty without one."""
        return self.messages[0].content if self.messages and self.messages[0].role == SYSTEM else ""

    @system.setter
    def system(self, text: str) -> None:
        rest = self.messages[1:] if self.system else self.messages
        self.messages = [Message(SYSTEM, text), *rest] if text else list(rest)

    def ask(self, text: str, *, on_prefill: Progress | None = None) -> Events[Event, None, None]:
        """Put a user message and write the reply to it: events as they happen, the Reply last.

        Raises TemplateError where the template refuses, WindowFullError where the window is too small.
        """
        yield from self._answer([*self.messages, Message(USER, text)], on_prefill)

    def retry(
        self, *, taken: Sequence[int] = (), on_prefill: Progress | None = None
    ) -> Events[Event, None, None]:
        """Write another reply to the last user message in place of the last one; it begins with `taken`.

        Raises UsageError where the grammar does not allow these ids.
        """
        yield from self._answer(self.messages[: self._last_user() + 1], on_prefill, Begun(taken))

    def go_on(self, *, on_prefill: Progress | None = None) -> Events[Event, None, None]:
        """Go on with the last reply where it ended.

        Raises UsageError where there is none, WindowFullError where it leaves no room for more.
        """
        if not self.messages or self.messages[-1].role != ASSISTANT:
            raise UsageError("there is no reply to go on with")
        try:
            yield from self._answer(self.messages[:-1], on_prefill, self._begun(self.messages[-1]))
        except WindowFullError as error:
            size = self.engine.context_size
            raise WindowFullError(
                f"the reply fills the window of {size:,} tokens: there is no room for more of it",
                hint="ask for a larger window with -c",
            ) from error

    def look_ahead(self) -> Events[Notice | Ahead, None, None]:
        """After a reply: make the cut that the next turn is likely to need; what its prompt begins with.

        So there is time to evaluate that before the next message comes, which is taken to be as long as the
        last one. Where the next turn will be refused, nothing is done: it is said when that comes. Raises
        InterruptedByUser while a summary is written.
        """
        spelling = self._spelling()
        one, other = ([*self.messages, Message(USER, text)] for text in ("a", "b"))
        last = next((m.content for m in reversed(self.messages) if m.role == USER), "")
        n_last = len(self.engine.tokenizer.encode(to_bytes(last, "a message"), parse_special=False))
        budget = self.window.budget(self.sampling.predict).early(n_last)
        try:
            fitted = yield from self._fitting.fit(one, spelling, self.sampling, budget=budget)
            ids = self.window.ids(other, fitted.cut, spelling)
        except (TemplateError, WindowFullError):
            return
        self._fitting.keep(fitted.cut, self.messages)
        self._known = ids[: common_prefix(fitted.ids, ids, len(ids))]
        yield Ahead(self._known, fitted.may_shift)

    def compact(self, *, on_prefill: Progress | None = None) -> Events[Notice, None, None]:
        """Have the model summarize all turns but the last, and put the summary in their place.

        Raises UsageError where there is nothing to summarize or the summary is no shorter.
        """
        spelling = self._spelling()
        yield from self._fitting.compact(self.messages, spelling, self.sampling, on_prefill)

    def pin(self, number: int) -> bool:
        """Keep a message in the window whatever happens, or no longer; whether it is pinned now."""
        leading, body = split(self.messages)
        if number >= len(leading):
            at = number - len(leading)
            self.window.pinned ^= {(at, body[at])}
        return self.is_pinned(number)

    def is_pinned(self, number: int) -> bool:
        """Whether a message is pinned; a system message always is."""
        leading, body = split(self.messages)
        at = number - len(leading)
        return at < 0 or (at, body[at]) in self.window.pinned

    def tally(self) -> Tally:
        """What the window is used for. Raises TemplateError."""
        spelling = self._spelling(asks=False)
        written, reply = self._written
        is_unended = bool(self.messages) and reply is self.messages[-1]
        return take_tally(
            self.window,
            self.messages,
            spelling,
            self.template,
            self.template_kwargs,
            self.engine.tokenizer,
            self.sampling.predict,
            written[:-1] if is_unended else (),  # the last one was drawn, and no other after it
        )

    @property
    def is_far_over(self) -> bool:
        """Whether the conversation has far more tokens than the window: a larger one held it, or none.

        True is certain, False is not. That the last messages alone have too many is known without counting
        the others, which may be thousands.
        """
        left, cut = self.window.size, self.window.cut(self.messages)
        if cut.part:  # its view shows a turn whole of which only the end is inside
            return False
        view = self.window.view(self.messages, cut)
        if sum(len(message.content) for message in view) < MUCH * left:
            return False
        for message in reversed(view):
            content = to_bytes(message.content)
            left -= len(self.engine.tokenizer.encode(content, parse_special=False, bos=False, eos=False))
            if left < 0:
                return True
        return False

    def begin_anew(self) -> None:
        """The cache is another conversation's: nothing reaches this one but what both begin with."""
        self._fitting.begin_anew(self.messages)

    def stepped_back(self) -> None:
        """The messages are others: where that undoes a cut, nothing is left of what was moved for it."""
        if self.window.cut(self.messages) != self._fitting.held:
            self.begin_anew()

    @property
    def fills_cache(self) -> bool:
        """Whether the cache was filled with these messages, and with no others behind them."""
        return self._fitting.was_filled_with(self.messages)

    def resume(self, ids: Sequence[int], messages: Sequence[Message]) -> None:
        """Go on where an earlier process stopped: it left `ids` in the cache, and these messages."""
        self._known = ids
        self._fitting.resume(messages)

    def change_model(self, engine: Generator, template: ChatTemplate) -> None:
        """Go on with another model; the messages stay, and are evaluated with the next one.

        Its window is another: what had left the old one may have room in it. Raises UsageError for a reserve
        as large as that window.
        """
        pinned = self.window.pinned
        self._open_window(engine, self.window.options)
        self.window.pinned = pinned
        self.engine, self.template = engine, template
        self._known, self._written, self._told_merged = (), NOTHING_WRITTEN, False

    def prompt(self, messages: Sequence[Message], *, asks: bool = True) -> Prompt:
        """The prompt that asks for a reply to `messages`; or, if it does not, ends with the last of them."""
        return self.template.render(
            messages,
            add_generation_prompt=asks,
            kwargs=self.template_kwargs,
            protect=[
                token.text.decode("utf-8", "replace") for token in self.engine.tokenizer.special_tokens()
            ],
        )

    def _answer(
        self,
        messages: list[Message],
        on_prefill: Progress | None,
        begun: Begun = NOT_BEGUN,
    ) -> Events[Event, None, None]:
        spelling = self._spelling(begun.ids)
        fitted = yield from self._fitting.fit(messages, spelling, self.sampling, on_prefill=on_prefill)
        prompt = spelling.prompt(self.window.view(messages, fitted.cut))
        if prompt.system_merged and not self._told_merged:
            self._told_merged = True
            yield Notice(
                "the chat template takes no system message: it was put before the first user message"
            )
        opened = prompt.text.rstrip().endswith(OPEN)
        if begun.said is not None:
            opened = bool(begun.said.reasoning) and not begun.said.content
        self._fitting.fill(fitted.cut, messages)
        for event in take_turn(
            self.engine,
            fitted.ids,
            self._next_sampling(),
            self.abort,
            thinking_opened=opened,
            may_shift=fitted.may_shift,
            begun=begun,
            on_prefill=on_prefill,
        ):
            if isinstance(event, Reply):
                event = replace(event, outside=fitted.outside)
                self._keep(messages, event, fitted, begun)
            yield event

    def _begun(self, reply: Message) -> Begun:
        """A reply that is to go on, up to its last whole character, and the ids that it is made of."""
        tokenizer, (ids, made) = self.engine.tokenizer, self._written
        if made is not reply:
            text = to_bytes(reply.content)
            return Begun(tokenizer.encode(text, parse_special=False, bos=False, eos=False), reply)
        said, whole = whole_characters(reply, ids, tokenizer)
        return Begun(whole, said)

    def _keep(self, messages: list[Message], reply: Reply, fitted: Fitted, begun: Begun) -> None:
        """Add what was said, unless Ctrl-C came before anything was."""
        self._known = reply.ids
        if reply.message.content or reply.message.reasoning or reply.finish_reason != "cancelled":
            self.messages = [*messages, reply.message]
            self._fitting.keep(fitted.cut, self.messages)
            written = reply.ids[reply.usage.prompt_tokens - len(begun.ids) :]
            self._written = (written, reply.message) if reply.finish_reason != "stop" else NOTHING_WRITTEN
            self.n_replies += 1

    def _next_sampling(self) -> SamplingOptions:
        """The options of the next reply: each has a seed of its own, the first one the seed asked for."""
        seed = self.sampling.seed
        if seed is None or seed < 0:
            return self.sampling
        return replace(self.sampling, seed=(seed + self.n_replies) % SEEDS)

    def _open_window(self, engine: Generator, options: WindowOptions) -> None:
        self.window = Window(engine.context_size, options)
        self._fitting = Fitting(self.window, engine, self.abort)
        self._encode = remembering(engine.tokenizer)

    def _spelling(self, end: Sequence[int] = (), *, asks: bool = True) -> Spelling:
        """How prompts of this turn are spelled; they end with the ids `end`."""
        render = partial(self.prompt, asks=asks)
        return Spelling(render, self.engine.tokenizer, self._known, end, self._encode)

    def _last_user(self) -> int:
        return max((i for i, m in enumerate(self.messages) if m.role == USER), default=-1)
