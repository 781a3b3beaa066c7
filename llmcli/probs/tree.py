"""The most probable ways on from a prompt, as a tree: at each step the most probable tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.protocol import Brancher, Branches
from llmcli.errors import UsageError, WindowFullError
from llmcli.probs.distribution import entropy_bits, log_softmax, top_ids
from llmcli.probs.prompt import Prompt

DEEPEST = 64
MOST_NODES = 100_000


@dataclass
class Node:
    """A token with the probability it has after its parent, and that of the whole path down to it.

    `ends`: with this token the model says that it has finished, so nothing follows.
    """

    id: int
    piece: bytes
    prob: float
    path_prob: float
    ends: bool
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Tree:
    """What may follow the prompt."""

    n_prompt_tokens: int
    entropy_bits: float
    children: tuple[Node, ...]


def tree(engine: Brancher, prompt: Prompt, depth: int, width: int) -> Tree:
    """The `width` most probable tokens at each of `depth` steps after `prompt`.

    Every node but those of the last step is evaluated once, many at a time. Raises UsageError for a tree too
    large, WindowFullError where prompt and depth do not fit.
    """
    check_size(depth, width)
    ids = prompt.ids(engine.tokenizer)
    if len(ids) + depth - 1 > engine.context_size:
        raise WindowFullError(
            f"the prompt has {len(ids):,} tokens: {depth} more do not fit the window of "
            f"{engine.context_size:,}",
            hint="shorten it, or ask for a larger window with -c",
        )
    engine.ready(ids)
    grown = _Tree(engine, width)
    logprobs = log_softmax(engine.logits())
    children = grown.children(engine.logits(), 1.0)
    with engine.branches() as branches:
        grown.grow(branches, [(0, node) for node in children], depth - 1, branches.room)
    return Tree(len(ids), entropy_bits(logprobs), tuple(children))


def check_size(depth: int, width: int) -> None:
    """Raise UsageError for a tree deeper or larger than anybody could read."""
    n_nodes = sum(width**level for level in range(1, depth + 1)) if depth <= DEEPEST else 0
    if depth > DEEPEST or n_nodes > MOST_NODES:
        size = f"{n_nodes:,} branches are too many" if n_nodes else f"{depth} steps are too many"
        raise UsageError(
            f"--tree {depth} --width {width}: {size}",
            hint=f"at most {DEEPEST} steps and {MOST_NODES:,} branches",
        )


@dataclass(frozen=True)
class _Tree:
    engine: Brancher
    width: int

    def grow(self, branches: Branches, pending: Sequence[tuple[int, Node]], levels: int, room: int) -> None:
        """Evaluate nodes that wait below their parents' branches, and `levels` levels below them.

        As many at once as leaves `room` for the levels below: a node's branch lives until all that follows it
        is known.
        """
        pending = [(parent, node) for parent, node in pending if not node.ends]
        at_once = max(1, min(branches.block, room // max(1, levels)))
        if levels == 0:
            return
        for start in range(0, len(pending), at_once):
            group = pending[start : start + at_once]
            forks = [branches.fork(parent) for parent, _node in group]
            rows = branches.evaluate(
                [(fork, [node.id]) for fork, (_, node) in zip(forks, group, strict=True)]
            )
            for (_parent, node), row in zip(group, rows, strict=True):
                node.children += self.children(row[0], node.path_prob)
            below = [
                (fork, child) for fork, (_, node) in zip(forks, group, strict=True) for child in node.children
            ]
            self.grow(branches, below, levels - 1, room - len(group))
            for fork in forks:
                branches.drop(fork)

    def children(self, logits: NDArray[np.float32], path_prob: float) -> list[Node]:
        """The most probable tokens after a path of that probability."""
        probs = np.exp(log_softmax(logits))
        tokenizer = self.engine.tokenizer
        return [
            Node(
                i, tokenizer.piece(i), float(probs[i]), path_prob * float(probs[i]), self.engine.ends_reply(i)
            )
            for i in top_ids(logits, self.width).tolist()
        ]
