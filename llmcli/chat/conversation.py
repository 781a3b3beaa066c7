"""A conversation: its messages, and the turns that add to them."""

from __future__ import annotations

from collections.abc import Generator as Events
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmcli.chat.messages import SYSTEM, USER, Message
from llmcli.chat.prompt import Prompt
from llmcli.chat.reply import Event, Notice, Reply
from llmcli.chat.template import ChatTemplate
from llmcli.chat.thinking import OPEN
from llmcli.chat.turn import take_turn
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.protocol import Generator, Progress
from llmcli.settings.sampling import SEEDS, SamplingOptions
from llmcli.tokens.literal import encode_parts
from llmcli.tokens.tokenizer import Tokenizer, to_bytes


@dataclass
class Conversation:
    """Messages, and the engine that answers them.

    A turn that fails or produces nothing leaves the messages as they were.
    """

    engine: Generator
    template: ChatTemplate
    sampling: SamplingOptions
    abort: AbortFlag
    template_kwargs: Mapping[str, object] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    n_replies: int = 0
    _known: Sequence[int] = ()
    _told_merged: bool = False

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
        """Write another reply to the last user message in place of the last one; it begins with `taken`."""
        yield from self._answer(self.messages[: self._last_user() + 1], on_prefill, taken)

    def undo(self) -> Message | None:
        """Step back to before the last user message; that message, None where there is none."""
        at = self._last_user()
        if at < 0:
            return None
        message = self.messages[at]
        del self.messages[at:]
        return message

    def resume(self, ids: Sequence[int]) -> None:
        """Go on where an earlier process stopped, whose last turn left `ids` in the cache."""
        self._known = ids

    def change_model(self, engine: Generator, template: ChatTemplate) -> None:
        """Go on with another model; the messages stay, and are evaluated with the next one."""
        self.engine, self.template = engine, template
        self._known, self._told_merged = (), False

    def clear(self) -> None:
        """Forget every message but the system message."""
        self.messages = [m for m in self.messages[:1] if m.role == SYSTEM]

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The prompt that asks for a reply to `messages`."""
        return self.template.render(
            messages,
            kwargs=self.template_kwargs,
            protect=[
                token.text.decode("utf-8", "replace") for token in self.engine.tokenizer.special_tokens()
            ],
        )

    def _answer(
        self, messages: list[Message], on_prefill: Progress | None, taken: Sequence[int] = ()
    ) -> Events[Event, None, None]:
        prompt = self.prompt(messages)
        if prompt.system_merged and not self._told_merged:
            self._told_merged = True
            yield Notice(
                "the chat template takes no system message: it was put before the first user message"
            )
        for event in take_turn(
            self.engine,
            prompt_ids(prompt, self.engine.tokenizer),
            self._next_sampling(),
            self.abort,
            known=self._known,
            thinking_opened=prompt.text.rstrip().endswith(OPEN),
            taken=taken,
            on_prefill=on_prefill,
        ):
            if isinstance(event, Reply):
                self._keep(messages, event)
            yield event

    def _keep(self, messages: list[Message], reply: Reply) -> None:
        """Add what was said, unless Ctrl-C came before anything was."""
        self._known = reply.ids
        if reply.message.content or reply.message.reasoning or reply.finish_reason != "cancelled":
            self.messages = [*messages, reply.message]
            self.n_replies += 1

    def _next_sampling(self) -> SamplingOptions:
        """The options of the next reply: each has a seed of its own, the first one the seed asked for."""
        seed = self.sampling.seed
        if seed is None or seed < 0:
            return self.sampling
        return replace(self.sampling, seed=(seed + self.n_replies) % SEEDS)

    def _last_user(self) -> int:
        return max((i for i, m in enumerate(self.messages) if m.role == USER), default=-1)


def prompt_ids(prompt: Prompt, tokenizer: Tokenizer) -> list[int]:
    """The ids of a prompt, with a BOS before it where the model asks for one and the template wrote none."""
    parts = [(to_bytes(part.text, "a message"), part.literal) for part in prompt.parts]
    ids = encode_parts(tokenizer, parts)
    lead = tokenizer.encode(b"", eos=False)
    return ids if ids[: len(lead)] == lead else lead + ids
