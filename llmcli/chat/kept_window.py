"""The window of a session as text, so that who comes back to it has the same window: its pins and its cuts.

    {"model": "tiny", "size": 4096, "pinned": [0], "cuts": [{"over": 8, "gone": [[2, 4]], ...}]}

Pins are numbers of nodes of the tree. A cut was made over the first messages of the present branch: how many
says which. Where the model or the size is another, what had left may have room again: then only the pins
hold, as when the model is changed in mid-conversation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from llmcli.chat.messages import Message
from llmcli.chat.tree import ROOT, Tree, messages
from llmcli.chat.window import Cut, Window

LAST = 4
"""How many cuts are kept: who steps back to before the first of them has the window worked out anew."""

NOTHING_KEPT = '{"pinned": [], "cuts": [], "model": "", "size": 0}'


def as_text(window: Window, tree: Tree, model: str) -> str:
    """What `restore` needs to make the window again, as JSON."""
    said = messages(tree)
    cuts = window.cuts(said)[-LAST:]
    kept = {
        "model": model,
        "size": window.size,
        "pinned": [n for n, place in enumerate(_places(tree)) if place in window.pinned]
        if window.pinned
        else [],
        "cuts": [
            {
                "over": len(cut.over),
                "gone": _runs(cut.gone),
                "tokens": cut.tokens,
                "summary": cut.summary,
                "part": cut.part,
                "rest": cut.rest,
                "back": cut.back,
            }
            for cut in cuts
        ],
    }
    return json.dumps(kept, ensure_ascii=False) if window.pinned or cuts else ""


def restore(window: Window, text: str, tree: Tree, model: str) -> None:
    """Give the window the pins and the cuts that `as_text` wrote down; without a whole text, none."""
    try:
        _restore(window, json.loads(text or NOTHING_KEPT), tree, model)
    except (ValueError, LookupError, TypeError):
        _restore(window, json.loads(NOTHING_KEPT), tree, model)


def _restore(window: Window, kept: dict[str, Any], tree: Tree, model: str) -> None:
    pinned = set(kept["pinned"])
    window.pinned = {place for n, place in enumerate(_places(tree)) if n in pinned} if pinned else set()
    cuts = kept["cuts"] if (kept["model"], kept["size"]) == (model, window.size) else []
    said = messages(tree) if cuts else []
    window.replace_cuts(
        Cut(
            tuple(said[: cut["over"]]),
            frozenset(n for begin, end in cut["gone"] for n in range(begin, end)),
            cut["tokens"],
            cut["summary"],
            tuple(cut["part"]),
            tuple(cut["rest"]),
            cut["back"],
        )
        for cut in cuts
        if cut["over"] <= len(said)
    )


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    """Where numbers follow on each other: the first of each run, and the one behind its last.

    >>> _runs({2, 3, 7})
    [[2, 4], [7, 8]]
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number:
            runs[-1][1] += 1
        else:
            runs.append([number, number + 1])
    return runs


def _places(tree: Tree) -> Iterator[tuple[int, Message]]:
    """Each node's message, with how many come before it on its branch."""
    depths: list[int] = []
    for node in tree.nodes:
        depths.append(0 if node.parent == ROOT else depths[node.parent] + 1)
        yield depths[-1], node.message
