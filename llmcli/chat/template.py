"""The chat template: a conversation becomes the prompt that its model was trained to answer.

It is the first step on the road text -> tokens -> logits -> reply, and the only one that differs
from model to model in kind: each has its own Jinja program, kept in its GGUF file.

Templates disagree about what a conversation may contain. ``ChatTemplate.render`` tries the ways of
writing it down, the plainest first, and takes the first in which the system text and the last user
message come out: contents as strings or as lists of typed parts; the system text as a message of
its own or before the first user message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import jinja2

from llmcli.chat.messages import SYSTEM, USER, Message
from llmcli.chat.prompt import Guard, Part, Prompt
from llmcli.chat.sandbox import Refusal, compile_template
from llmcli.errors import LlmcliError, TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["ChatTemplate", "Part", "Prompt"]

_NO_KWARGS: Final[Mapping[str, object]] = MappingProxyType({})
_OTHER_TEMPLATE: Final = "choose another template with --chat-template: a name or a file"
_LONGEST_REASON: Final = 500


class _Layout(NamedTuple):
    """A way of writing a conversation down for a template."""

    merged: bool
    typed: bool


_PLAIN: Final = (_Layout(merged=False, typed=False), _Layout(merged=False, typed=True))
_MERGED: Final = (_Layout(merged=True, typed=False), _Layout(merged=True, typed=True))


@dataclass(frozen=True)
class ChatTemplate:
    """A compiled chat template; ``from_source`` makes one."""

    name: str
    """What messages to the user call it."""
    source: str
    bos: str
    eos: str
    now: datetime
    """The time that the template sees: fixed, so that a conversation's past never changes."""
    _compiled: jinja2.Template = field(repr=False, compare=False)

    @classmethod
    def from_source(
        cls, source: str, *, name: str, bos: str, eos: str, now: datetime | None = None
    ) -> ChatTemplate:
        """Compiles ``source``; ``bos`` and ``eos`` are the texts of the model's tokens, or "".

        Raises TemplateError, with the line, for what is no Jinja template.
        """
        now = now or datetime.now().astimezone()
        try:
            compiled = compile_template(source, now)
        except jinja2.TemplateSyntaxError as error:
            reason = f"line {error.lineno}: {error.message}"
            raise _failure(name, reason) from error
        except Exception as error:  # the parser's recursion, Python's compiler
            raise _failure(name, _described(error)) from error
        return cls(name, source, bos, eos, now, compiled)

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        kwargs: Mapping[str, object] = _NO_KWARGS,
        protect: Sequence[str] = (),
    ) -> Prompt:
        """The prompt for ``messages``, in which none of them spells a special token.

        ``add_generation_prompt`` ends it with what opens the assistant's reply. ``kwargs`` are the
        template's own switches, such as ``enable_thinking``, which is true unless they say
        otherwise (as in llama.cpp). ``protect`` are the texts of the vocabulary's special tokens:
        where a message spells one, the prompt has a literal part.

        Raises TemplateError, in the template's own words where it has any, when it takes the
        conversation in no layout. KeyboardInterrupt ends a template that does not end by itself.
        """
        contents = chain.from_iterable((message.content, message.reasoning) for message in messages)
        guard = Guard(protect, [self.source, self.bos, self.eos, str(kwargs), *contents])
        rendering = _Rendering(self, guard, add_generation_prompt, kwargs)
        hidden = [_mapped(guard.hide, message) for message in messages]
        layout, text = rendering.first_complete(hidden)
        if protect:
            text = rendering.cut_at_edges(text, hidden, layout)
        return Prompt(guard.reveal(text), system_merged=layout.merged)


@dataclass(frozen=True)
class _Rendering:
    """One call of ``ChatTemplate.render``: the template, the guard and what they are given."""

    template: ChatTemplate
    guard: Guard
    add_generation_prompt: bool
    kwargs: Mapping[str, object]

    def first_complete(self, messages: Sequence[Message]) -> tuple[_Layout, str]:
        """The first layout whose rendering tells the model everything, and that rendering."""
        roles = [message.role for message in messages]
        layouts = _PLAIN + _MERGED if roles[:1] == [SYSTEM] and USER in roles else _PLAIN
        errors: list[TemplateError] = []
        for layout in layouts:
            try:
                text = self.text(messages, layout)
                lost = self._lost(messages, layout, text)
            except TemplateError as error:
                errors.append(error)
                continue
            if lost is None:
                return layout, text
            errors.append(_failure(self.template.name, f"it leaves the {lost} message out"))
        raise errors[0]

    def cut_at_edges(self, text: str, messages: Sequence[Message], layout: _Layout) -> str:
        """``text``, cut where a special straddles the edge of a message (see Guard)."""
        marked = [_mapped(self.guard.mark, message) for message in messages]
        try:
            return self.guard.cut(text, self.text(marked, layout))
        except TemplateError:
            return text  # the template minds the marks: the limit that Guard documents

    def text(self, messages: Sequence[Message], layout: _Layout) -> str:
        """What the template writes for the messages in this layout; else TemplateError."""
        template = self.template
        if layout.merged:
            messages = _with_system_merged(messages)
        variables = {
            "enable_thinking": True,
            "date_string": template.now.strftime("%d %b %Y"),
            "datetime": template.now.strftime("%b %d %Y"),
            **self.kwargs,
            "messages": [_as_dict(message, layout) for message in messages],
            "add_generation_prompt": self.add_generation_prompt,
            "bos_token": template.bos,
            "eos_token": template.eos,
        }  # "tools" and "documents" stay undefined: some templates loop over them where defined
        try:
            return template._compiled.render(variables)
        except LlmcliError:
            raise  # from a signal handler, not from the template
        except Refusal as error:
            raise _failure(template.name, str(error)) from error
        except Exception as error:
            raise _failure(template.name, _described(error)) from error

    def _lost(self, messages: Sequence[Message], layout: _Layout, text: str) -> str | None:
        """The role of a message that the template passed over in silence, if any.

        Templates edit what they show, and a short text may stand in the prompt by chance: so it is
        asked of numbers in the messages' places. One that won't take them is asked of its text.
        """
        last_user = max((i for i, m in enumerate(messages) if m.role == USER), default=None)
        probes = {
            index: message._replace(content=f"{self.guard.probe}{index:09}")
            for index, message in enumerate(messages)
            if message.role == SYSTEM or index == last_user
        }
        asked = [probes.get(index, message) for index, message in enumerate(messages)]
        try:
            answer = self.text(asked, layout)
        except TemplateError:
            asked, answer = list(messages), text
        for index in probes:
            content = asked[index].content.strip()
            if content not in answer or str(_typed(content)) in answer:  # a list, printed as one
                return asked[index].role
        return None


def _with_system_merged(messages: Sequence[Message]) -> list[Message]:
    """The messages, with the leading system texts before the first user message's own."""
    system = [m.content for m in takewhile(lambda m: m.role == SYSTEM, messages)]
    rest = list(messages[len(system) :])
    first_user = next(index for index, message in enumerate(rest) if message.role == USER)
    together = "\n\n".join([*system, rest[first_user].content])
    rest[first_user] = rest[first_user]._replace(content=together)
    return rest


def _as_dict(message: Message, layout: _Layout) -> dict[str, object]:
    content = _typed(message.content) if layout.typed else message.content
    reasoning = {"reasoning_content": message.reasoning} if message.reasoning else {}
    return {"role": message.role, "content": content, **reasoning}


def _typed(content: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": content}]


def _mapped(change: Callable[[str], str], message: Message) -> Message:
    return message._replace(content=change(message.content), reasoning=change(message.reasoning))


def _described(error: Exception) -> str:
    kind = type(error).__name__
    return f"{kind}: {error}" if str(error) else kind


def _failure(name: str, reason: str) -> TemplateError:
    if len(reason) > _LONGEST_REASON:
        reason = reason[:_LONGEST_REASON] + "…"
    return TemplateError(f"chat template of {name}: {reason}", hint=_OTHER_TEMPLATE)
