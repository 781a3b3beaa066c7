"""A saved session for other places: Markdown, JSON, a message a line, or a page; one branch, or all of it.

A message's number is its place in the order in which things were said, `parent` the number of the message
before it. What a reply was made with stands beside it: model, sampling options and seed give it again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from llmcli.chat.messages import SYSTEM
from llmcli.chat.saved import Saved
from llmcli.chat.tree import ROOT, Node, path, tips
from llmcli.render.data import to_json
from llmcli.render.page import page
from llmcli.render.safe import safe
from llmcli.render.sessions import iso_time, local_time

SURROGATES = re.compile("[\ud800-\udfff]")
"""What stands in a text for bytes that were no UTF-8 when it was read; UTF-8 has none."""


def export_data(saved: Saved, *, everything: bool) -> dict[str, Any]:
    """The session as data; without `everything`, its present branch alone."""
    tree = saved.tree
    data: dict[str, Any] = {
        "name": saved.name,
        "model": saved.model,
        "system": saved.system or None,
        "created": iso_time(saved.created),
        "updated": iso_time(saved.updated),
        "messages": list(_messages(saved, everything)),
    }
    if everything:
        data["branches"] = [
            {
                "name": tip.name or None,
                "tip": None if tip.node == ROOT else tip.node,
                "present": tip.is_present,
            }
            for tip in tips(tree)
        ]
    return data


def as_json(saved: Saved, *, everything: bool) -> str:
    """One object."""
    return to_json(export_data(saved, everything=everything), indent=2)


def as_jsonl(saved: Saved, *, everything: bool) -> str:
    """A message a line."""
    return "".join(map(to_json, _messages(saved, everything)))


def as_markdown(saved: Saved, *, everything: bool) -> str:
    """Headings with the roles, and the words below them as they are; bytes that were no UTF-8 are U+FFFD."""
    parts = [f"# {saved.name}\n", f"{saved.model}, {local_time(saved.created)}\n"]
    if saved.system:
        parts.append(f"## system\n\n{saved.system}\n")
    for number, node in _nodes(saved, everything):
        parts.append(f"## {_heading(number, node, everything)}\n")
        if node.message.reasoning:
            quoted = node.message.reasoning.strip("\n").replace("\n", "\n> ")
            parts.append(f"> {quoted}\n")
        parts.append(node.message.content.rstrip("\n") + "\n")
    return SURROGATES.sub("\ufffd", "\n".join(parts))


def as_html(saved: Saved, *, everything: bool) -> str:
    """A page: no script, nothing from the network, readable in light and dark."""
    parts = [_section("system", saved.system)] if saved.system else []
    for number, node in _nodes(saved, everything):
        message = node.message
        thought = f"<details><summary>thinking</summary>{_shown(message.reasoning)}</details>"
        heading = _heading(number, node, everything)
        parts.append(
            _section(message.role, message.content, heading, thought if message.reasoning else "", number)
        )
    body = f"""<h1>{_shown(saved.name)}</h1>
<p>{_shown(saved.model)}, {local_time(saved.created)}</p>
{"".join(parts)}"""
    return page(_shown(saved.name), "session.css", body)


Export = Callable[..., str]

FORMATS: dict[str, Export] = {"md": as_markdown, "json": as_json, "jsonl": as_jsonl, "html": as_html}
"""Each takes a session and whether to write all of it."""


def _messages(saved: Saved, everything: bool) -> Iterator[dict[str, Any]]:
    """Messages as data, the system message first."""
    if saved.system:
        yield {"role": SYSTEM, "content": saved.system}
    for number, node in _nodes(saved, everything):
        message = node.message
        yield {
            "role": message.role,
            "content": message.content,
            **({"reasoning": message.reasoning} if message.reasoning else {}),
            "number": number,
            "parent": None if node.parent == ROOT else node.parent,
            "created": iso_time(node.created),
            **({} if node.made is None else _made(node)),
        }


def _made(node: Node) -> dict[str, Any]:
    assert node.made is not None
    return {
        "finish_reason": node.made.finish_reason,
        "made_with": {**json.loads(node.made.origin), "seed": node.made.seed},
    }


def _nodes(saved: Saved, everything: bool) -> Iterator[tuple[int, Node]]:
    nodes = saved.tree.nodes
    return ((number, nodes[number]) for number in (range(len(nodes)) if everything else path(saved.tree)))


def _heading(number: int, node: Node, everything: bool) -> str:
    """Who says it; where all branches stand in one list, also after what."""
    if not everything:
        return node.message.role
    return f"{number} {node.message.role}" + ("" if node.parent == ROOT else f" (after {node.parent})")


def _section(role: str, content: str, heading: str = "", extra: str = "", number: int | None = None) -> str:
    name = "" if number is None else f' id="m{number}"'
    words = f'<div class="words">{_shown(content)}</div>'
    return f'<section class="{role}"{name}>\n<h2>{heading or role}</h2>\n{extra}{words}\n</section>\n'


def _shown(text: str) -> str:
    return escape(safe(text).encode("utf-8", "replace").decode())
