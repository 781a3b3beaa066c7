"""A conversation as a tree: to answer anew, to edit or to fork adds a branch, and nothing is overwritten.

    hello ─┬─ Hi!  ── and now?          the reply that /retry replaced, and what followed on it
           └─ Good day. ── what is p?   the present branch: it ends at the leaf

A branch may have a name. The name of the branch that is written on moves along with the leaf, as a branch of
git does; the first one is called `main`. Everything here is a function from a tree to a tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from llmcli.chat.messages import USER, Message
from llmcli.errors import UsageError

ROOT = -1
"""The parent of a first message, and the leaf of a conversation in which nothing was said."""

MAIN = "main"


class Made(NamedTuple):
    """How a reply came about: `origin` (JSON: model, sampling, system message) and seed give it again.

    Without a `finish_reason` the reply was broken off: the process ended while it was written.
    """

    seed: int | None = None
    finish_reason: str | None = None
    origin: str = "{}"


class Node(NamedTuple):
    """A message at its place in the tree. `parent` is the number of the node before it.

    Not a dataclass, like the rest: a session has thousands, all made when it is opened.
    """

    message: Message
    parent: int = ROOT
    created: float = 0.0
    made: Made | None = None


@dataclass(frozen=True)
class Tree:
    """All that was said, in the order in which it was said; a node's number is its index.

    `branch` is the name of the present branch (empty: it has none), `others` are the last nodes of the other
    branches that have a name.
    """

    nodes: tuple[Node, ...] = ()
    leaf: int = ROOT
    branch: str = MAIN
    others: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Tip:
    """Where a branch ends."""

    node: int
    name: str
    is_present: bool


def path(tree: Tree, tip: int | None = None) -> list[int]:
    """The numbers of the nodes from the first message to `tip`, by default the leaf."""
    return list(_upwards(tree, tree.leaf if tip is None else tip))[::-1]


def messages(tree: Tree) -> list[Message]:
    """What was said on the present branch.

    >>> tree = append(append(Tree(), Message("user", "a")), Message("assistant", "b"))
    >>> [message.content for message in messages(tree)]
    ['a', 'b']
    """
    return [tree.nodes[n].message for n in path(tree)]


def append(tree: Tree, message: Message, *, made: Made | None = None, created: float = 0.0) -> Tree:
    """A message more on the present branch."""
    nodes = (*tree.nodes, Node(message, tree.leaf, created, made))
    return replace(tree, nodes=nodes, leaf=len(tree.nodes))


def at_last_question(tree: Tree) -> Tree:
    """The present branch up to the last user message on it, to be answered anew. Raises UsageError."""
    return replace(tree, leaf=_last_question(tree, "there is no message to answer"))


def undo(tree: Tree) -> Tree:
    """The present branch up to before the last user message on it. Raises UsageError where there is none."""
    return replace(tree, leaf=tree.nodes[_last_question(tree, "there is nothing to undo")].parent)


def clear(tree: Tree) -> Tree:
    """The present branch up to before the first message."""
    return replace(tree, leaf=ROOT)


def fork(tree: Tree, name: str) -> Tree:
    """Go on as a branch called `name`; the present one stays where it is. Raises UsageError for one taken."""
    if name == tree.branch or name in tree.others:
        raise UsageError(f"there is already a branch called {name!r}", hint="/tree lists the branches")
    others = {**tree.others, tree.branch: tree.leaf} if tree.branch else tree.others
    return replace(tree, branch=name, others=MappingProxyType(dict(others)))


def tips(tree: Tree) -> list[Tip]:
    """Where the branches end, the oldest first: nodes that nothing follows, and those that have a name."""
    named: dict[int, list[str]] = {}
    for name, node in [*tree.others.items(), (tree.branch, tree.leaf)]:
        named.setdefault(node, []).append(name)
    parents = {node.parent for node in tree.nodes}
    childless = {n for n in range(len(tree.nodes)) if n not in parents}
    ends = sorted(childless | set(named))
    return [
        Tip(node, name, node == tree.leaf and name == tree.branch)
        for node in ends
        for name in named.get(node, [""])
    ]


def go(tree: Tree, tip: Tip) -> Tree:
    """Make the branch that ends at `tip` the present one."""
    others = {**tree.others, tree.branch: tree.leaf} if tree.branch else dict(tree.others)
    others.pop(tip.name, None)
    return replace(tree, leaf=tip.node, branch=tip.name, others=MappingProxyType(others))


def _last_question(tree: Tree, otherwise: str) -> int:
    for number in _upwards(tree, tree.leaf):
        if tree.nodes[number].message.role == USER:
            return number
    raise UsageError(otherwise)


def _upwards(tree: Tree, number: int) -> Iterator[int]:
    while number != ROOT:
        yield number
        number = tree.nodes[number].parent
