"""Where in a rendered prompt the messages' own text stands, and where the template's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmcli.chat.messages import Message
from llmcli.chat.template import ChatTemplate
from llmcli.errors import TemplateError

PRIVATE = range(0xF0000, 0xFFFFE)


def content_ranges(
    template: ChatTemplate, messages: Sequence[Message], kwargs: Mapping[str, object], text: str
) -> tuple[tuple[int, int], ...]:
    """The ranges [start, end) of characters of `text` that come from messages, in order.

    `text` is what the template made of `messages`. It is rendered once more with each content between two
    marks. Empty where the template writes something else then: it minds the marks, and nothing is known.
    """
    taken = set(text).union(template.source, *(m.content + m.reasoning for m in messages))
    mark = next(character for character in map(chr, PRIVATE) if character not in taken)
    try:
        marked = template.render([_marked(m, mark) for m in messages], kwargs=kwargs).text
    except TemplateError:
        return ()
    pieces = marked.split(mark)
    if "".join(pieces) != text:
        return ()
    ranges, at = [], 0
    for number, piece in enumerate(pieces):
        if number % 2:
            ranges.append((at, at + len(piece)))
        at += len(piece)
    return tuple(ranges)


def _marked(message: Message, mark: str) -> Message:
    """The message with marks around its content, inside white space at the ends, which templates trim."""
    core = message.content.strip()
    if not core:
        return message
    start = message.content.index(core)
    end = start + len(core)
    content = message.content
    return replace(message, content=f"{content[:start]}{mark}{core}{mark}{content[end:]}")
