"""Saved sessions: in a list, one by one, and what a search found; as tables, tab-separated, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from llmcli.chat.saved import Saved
from llmcli.chat.search import Found
from llmcli.chat.store import Summary
from llmcli.chat.tree import path, tips
from llmcli.render.bars import Column, fitted_table
from llmcli.render.data import to_json
from llmcli.render.safe import safe, safe_line

if TYPE_CHECKING:
    from rich.console import RenderableType

BEGINNING = 60
"""Characters of a message that are shown to recognise it by."""
BEFORE = 20
"""Characters that are shown before what was found."""
LAST_YEAR = 253_370_764_800.0
"""When the year 9999 begins, in seconds since 1970: the last one that Python can name."""


def list_as_table(summaries: Sequence[Summary]) -> RenderableType:
    """A row a session."""
    from rich.text import Text

    columns = [
        Column("session", words=True),
        Column("messages"),
        Column("model", words=True, narrow=False),
        Column("last used"),
        Column("begins with", words=True, narrow=False),
    ]
    rows = [
        (
            Text(safe_line(one.name)),
            Text(f"{one.n_messages:,}"),
            Text(safe_line(one.model)),
            Text(local_time(one.updated)),
            Text(_beginning(one.beginning)),
        )
        for one in summaries
    ]
    return fitted_table(columns, rows)


def list_as_tabs(summaries: Sequence[Summary]) -> str:
    """A line a session for other programs: name, messages, model, time of last use, first message."""
    return "".join(
        f"{one.name}\t{one.n_messages}\t{safe_line(one.model)}\t{iso_time(one.updated)}\t"
        f"{safe_line(one.beginning)}\n"
        for one in summaries
    )


def list_as_json(summaries: Sequence[Summary]) -> str:
    """An array of objects."""
    return to_json(
        [
            {
                "name": one.name,
                "n_messages": one.n_messages,
                "model": one.model,
                "created": iso_time(one.created),
                "updated": iso_time(one.updated),
                "beginning": one.beginning,
            }
            for one in summaries
        ],
        indent=2,
    )


def session_as_text(saved: Saved) -> str:
    """What is known of a session, and what was said on its present branch."""
    branches = [tip.name or "(no name)" for tip in tips(saved.tree)] if saved.tree.nodes else []
    facts = {
        "session": saved.name,
        "model": saved.model,
        "begun": local_time(saved.created),
        "last used": local_time(saved.updated),
        "messages": f"{len(saved.tree.nodes)}, {len(path(saved.tree))} on this branch",
        "branches": ", ".join(branches),
        "system": saved.system,
    }
    lines = [f"{name:<10} {safe_line(value)}\n" for name, value in facts.items() if value]
    for number in path(saved.tree):
        node = saved.tree.nodes[number]
        broken_off = node.made is not None and node.made.finish_reason is None
        lines.append(f"\n{node.message.role}:{' (broken off)' if broken_off else ''}\n")
        lines.append(node.message.content.rstrip("\n") + "\n")
    return "".join(lines)


def found_as_text(found: Sequence[Found], words: str, *, colors: bool) -> str:
    """For a person: where each was said, and what stands around it; with `colors` a word found is bold."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if colors else ("", "")
    lines = []
    for one in found:
        before, word, after = around(one.content, words)
        said = f"{safe_line(before)}{bold}{safe_line(word)}{plain}{safe_line(after)}"
        lines.append(f"{safe_line(one.session)} #{one.number} {one.role}: {said}\n")
    return "".join(lines)


def found_as_tabs(found: Sequence[Found]) -> str:
    """A line a message for other programs: session, number, role, time, all of its text."""
    return "".join(
        f"{one.session}\t{one.number}\t{one.role}\t{iso_time(one.created)}\t{safe_line(one.content)}\n"
        for one in found
    )


def found_as_json(found: Sequence[Found]) -> str:
    """An array of objects."""
    return to_json(
        [
            {
                "session": one.session,
                "number": one.number,
                "role": one.role,
                "created": iso_time(one.created),
                "content": one.content,
            }
            for one in found
        ],
        indent=2,
    )


def around(content: str, words: str) -> tuple[str, str, str]:
    """The words around the first of `words` that occurs in a text: before it, itself, after it.

    >>> around("a very long beginning of a text about foxes in it", "FOX")
    ('…ginning of a text about ', 'fox', 'es in it')
    """
    lower = content.lower()
    at, word = min((lower.find(word), word) for word in words.lower().split() if word in lower)
    start = max(0, at - BEFORE - 4)
    end = min(len(content), at + len(word) + BEGINNING)
    return (
        ("…" if start else "") + content[start:at],
        content[at : at + len(word)],
        content[at + len(word) : end] + ("…" if end < len(content) else ""),
    )


def local_time(seconds: float) -> str:
    """A time for a person, to the minute, where they are."""
    return datetime.fromtimestamp(_in_calendar(seconds)).astimezone().strftime("%Y-%m-%d %H:%M")


def iso_time(seconds: float) -> str:
    """A time for programs: 2026-01-02T03:04:05Z."""
    return datetime.fromtimestamp(_in_calendar(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _beginning(text: str) -> str:
    line = safe(" ".join(text[: 2 * BEGINNING].split()))
    return line if len(line) <= BEGINNING else line[: BEGINNING - 1] + "…"


def _in_calendar(seconds: float) -> float:
    """A damaged file may hold any number."""
    return min(max(seconds, 0.0), LAST_YEAR)
