"""A conversation in a JSON file, and which part of a prompt is which message's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmcli.chat.messages import ROLES, Message
from llmcli.errors import InputError, TemplateError

if TYPE_CHECKING:
    from llmcli.chat.template import ChatTemplate

HINT = 'chat messages are [{"role": "user", "content": "..."}, ...], or {"messages": [...]}'


@dataclass(frozen=True)
class Range:
    """Characters [start, end) of a prompt that are the words of a message, counted from 0."""

    start: int
    end: int
    message: int


def read_messages(data: bytes, name: str) -> list[Message]:
    """The messages in a JSON file. Raises InputError naming the message that is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}", hint=HINT) from None
    if isinstance(found, dict):
        found = found.get("messages")
    if not isinstance(found, list) or not found:
        raise InputError(f"{name}: no list of messages", hint=HINT)
    return [_message(entry, f"{name}, message {number}") for number, entry in enumerate(found)]


def message_ranges(
    template: ChatTemplate, messages: Sequence[Message], kwargs: Mapping[str, object], prompt: str
) -> list[Range]:
    """Where the words of each message stand in `prompt`, which the template made of them.

    They are found by a second rendering with a mark at both ends of each message. Where a template
    writes something else because of the marks, nothing is known, and the list is empty.
    """
    inputs = [prompt, template.source, *(m.content + m.reasoning for m in messages)]
    free = (chr(code) for code in range(0x100000, 0x10FFFE))
    marks = [next(mark for mark in free if not any(mark in text for text in inputs)) for _ in messages]
    marked = [
        replace(m, content=_marked(m.content, mark), reasoning=_marked(m.reasoning, mark))
        for m, mark in zip(messages, marks, strict=True)
    ]
    try:
        rendered = template.render(marked, kwargs=kwargs).text
    except TemplateError:
        return []
    ranges: list[Range] = []
    opened: dict[int, int] = {}
    at = 0
    for character in rendered:
        if character not in marks:
            at += 1
            continue
        index = marks.index(character)
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


def _message(entry: Any, where: str) -> Message:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: not a JSON object", hint=HINT)
    role = entry.get("role")
    if role not in ROLES:
        raise InputError(f"{where}: its role is {role!r}", hint=f"a role is one of {', '.join(ROLES)}")
    content = entry.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        said = [text for text in texts if isinstance(text, str)]
        content = "".join(said) if len(said) == len(content) else None
    reasoning = entry.get("reasoning_content", "")
    if not isinstance(content, str) or not isinstance(reasoning, str):
        raise InputError(f"{where}: its content is no text", hint=HINT)
    return Message(role, content, reasoning)
