"""Conversations as the store is given them, for the tests of what is on disk."""

from __future__ import annotations

from llmcli.chat.messages import Message
from llmcli.chat.tree import Made, Tree, append


def talk_of(*texts: str, tree: Tree | None = None) -> Tree:
    """A conversation of these words."""
    tree = tree or Tree()
    for n, text in enumerate(texts):
        if n % 2:
            made = Made(7, "stop", '{"model": "tiny"}')
            tree = append(tree, Message("assistant", text, "hm"), made=made, created=2.5)
        else:
            tree = append(tree, Message("user", text), created=1.5)
    return tree
