"""Which part of a prompt is which message's, and which the template's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmcli.chat.messages import Message
from llmcli.errors import TemplateError

if TYPE_CHECKING:
    from llmcli.chat.template import ChatTemplate


@dataclass(frozen=True)
class Range:
    """Characters [start, end) of a prompt that are the words of a message, counted from 0."""

    start: int
    end: int
    message: int


def message_ranges(
    template: ChatTemplate,
    messages: Sequence[Message],
    kwargs: Mapping[str, object],
    prompt: str,
    *,
    asks: bool = True,
) -> list[Range]:
    """Where the words of each message stand in `prompt`, which the template made of them.

    They are found by a second rendering with a mark at both ends of each message. Where a template
    writes something else because of the marks, nothing is known, and the list is empty. `asks`: the prompt
    ends with what opens the reply.
    """
    taken = set().union(prompt, template.source, *(m.content + m.reasoning for m in messages))
    free = (mark for mark in map(chr, range(0x100000, 0x10FFFE)) if mark not in taken)
    marks = {mark: index for index, mark in zip(range(len(messages)), free, strict=False)}
    marked = [
        m._replace(content=_marked(m.content, mark), reasoning=_marked(m.reasoning, mark))
        for m, mark in zip(messages, marks, strict=True)
    ]
    try:
        rendered = template.render(marked, add_generation_prompt=asks, kwargs=kwargs).text
    except TemplateError:
        return []
    ranges: list[Range] = []
    opened: dict[int, int] = {}
    at = 0
    for character in rendered:
        if character not in marks:
            at += 1
            continue
        index = marks[character]
        if (start := opened.pop(index, None)) is None:
            opened[index] = at
        else:
            ranges.append(Range(start, at, index))
    without = "".join(character for character in rendered if character not in marks)
    return sorted(ranges, key=lambda r: r.start) if without == prompt and not opened else []


def _marked(content: str, mark: str) -> str:
    """Content between two marks, inside its outer white space, which templates trim."""
    core = content.strip()
    if not core:
        return content
    start = content.index(core)
    return f"{content[:start]}{mark}{core}{mark}{content[start + len(core) :]}"
