"""The tree of the most probable ways on: as nested JSON, and drawn with branches and bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmcli.probs.tree import Node, Tree
from llmcli.render.bars import Bar, Column, fitted_table, percent
from llmcli.render.data import token_data
from llmcli.render.tokens import visible_piece

if TYPE_CHECKING:
    from rich.console import RenderableType


def tree_data(report: Tree) -> dict[str, Any]:
    """The tree for JSON: the prompt is its root."""
    return {
        "n_prompt_tokens": report.n_prompt_tokens,
        "entropy_bits": report.entropy_bits,
        "children": [_node_data(node) for node in report.children],
    }


def tree_table(report: Tree) -> RenderableType:
    """A line a node, below its parent; beside it its probability and the whole path's."""
    from rich.text import Text

    columns = [
        Column("token", words=True),
        Column("prob"),
        Column("", bar=True),
        Column("path", narrow=False),
    ]
    rows: list[list[RenderableType]] = []
    for guide, node in _lines(report.children, ""):
        name = Text(guide, "dim").append(visible_piece(node.piece), "bold")
        if node.ends:
            name.append(" (end)", "dim")
        rows.append([name, percent(node.prob), Bar(node.prob), percent(node.path_prob)])
    return fitted_table(columns, rows, narrow_below=48)


def _lines(nodes: Sequence[Node], before: str) -> Iterator[tuple[str, Node]]:
    """Every node with the guide lines that stand before it."""
    for number, node in enumerate(nodes, 1):
        last = number == len(nodes)
        yield before + ("└─ " if last else "├─ "), node
        yield from _lines(node.children, before + ("   " if last else "│  "))


def _node_data(node: Node) -> dict[str, Any]:
    return {
        **token_data(node.id, node.piece),
        "prob": node.prob,
        "path_prob": node.path_prob,
        "children": [_node_data(child) for child in node.children],
    }
