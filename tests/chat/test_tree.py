"""The tree of a conversation: whatever is done, nothing that was said is lost, and one can go back to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.chat.messages import Message, Role
from llmcli.chat.tree import (
    MAIN,
    ROOT,
    Tree,
    append,
    at_last_question,
    clear,
    fork,
    go,
    messages,
    path,
    tips,
    undo,
)
from llmcli.errors import UsageError


def say(tree: Tree, *texts: str) -> Tree:
    """A conversation that goes on: question, reply, question, ..."""
    for text in texts:
        is_question = not tree.nodes or tree.leaf == ROOT or tree.nodes[tree.leaf].message.role == "assistant"
        role: Role = "user" if is_question else "assistant"
        tree = append(tree, Message(role, text))
    return tree


def said(tree: Tree) -> list[str]:
    return [message.content for message in messages(tree)]


def listed(tree: Tree) -> list[tuple[str, str, bool]]:
    """The last words of each branch, its name, and whether it is the present one."""
    return [
        (tree.nodes[tip.node].message.content if tip.node != ROOT else "", tip.name, tip.is_present)
        for tip in tips(tree)
    ]


def retry(tree: Tree, reply: str) -> Tree:
    return append(at_last_question(tree), Message("assistant", reply))


def test_a_retry_keeps_both_replies() -> None:
    """The new one is on the present branch; the old one, with what followed, is a branch of its own."""
    tree = retry(say(Tree(), "hello", "Hi!"), "Good day.")
    assert said(tree) == ["hello", "Good day."]
    assert listed(tree) == [("Hi!", "", False), ("Good day.", MAIN, True)]


def test_a_retry_answers_the_last_question_also_behind_others() -> None:
    """What stands before it stays."""
    assert said(retry(say(Tree(), "a", "b", "c", "d"), "e")) == ["a", "b", "c", "e"]


def test_an_edit_keeps_both_questions() -> None:
    """To step back and say something else makes a branch."""
    tree = say(undo(say(Tree(), "a", "b", "wrong", "no")), "right", "yes")
    assert said(tree) == ["a", "b", "right", "yes"]
    assert listed(tree) == [("no", "", False), ("yes", MAIN, True)]


def test_undo_steps_back_to_the_beginning() -> None:
    """Turn by turn; at the beginning there is nothing to undo, nor to answer."""
    tree = undo(undo(say(Tree(), "a", "b", "c", "d")))
    assert said(tree) == []
    assert len(tree.nodes) == 4
    with pytest.raises(UsageError, match="nothing to undo"):
        undo(tree)
    with pytest.raises(UsageError, match="no message to answer"):
        at_last_question(tree)


def test_a_fork_leaves_the_branch_where_it_is() -> None:
    """Both can be gone to by their name; each goes on by itself."""
    tree = fork(say(Tree(), "a", "b"), "aside")
    assert listed(tree) == [("b", MAIN, False), ("b", "aside", True)]
    tree = say(tree, "c", "d")
    assert listed(tree) == [("b", MAIN, False), ("d", "aside", True)]
    tree = say(go(tree, tips(tree)[0]), "e", "f")
    assert said(tree) == ["a", "b", "e", "f"]
    assert listed(tree) == [("d", "aside", False), ("f", MAIN, True)]


def test_a_fork_needs_a_name_of_its_own() -> None:
    """Neither the present branch's name nor another's."""
    tree = fork(Tree(), "aside")
    for name in (MAIN, "aside"):
        with pytest.raises(UsageError, match="already a branch"):
            fork(tree, name)


def test_a_branch_without_a_name() -> None:
    """One can go there, go on, and give it a name; the named one stays."""
    tree = retry(say(Tree(), "a", "b"), "c")
    tree = go(tree, tips(tree)[0])
    assert (said(tree), tree.branch) == (["a", "b"], "")
    tree = fork(say(tree, "d", "e"), "found")
    assert listed(tree) == [("c", MAIN, False), ("e", "found", True)]


STEPS: list[Callable[[Tree, int], Tree]] = [
    lambda tree, n: say(tree, f"{n}"),
    lambda tree, n: retry(tree, f"{n}"),
    lambda tree, _: undo(tree),
    lambda tree, _: clear(tree),
    lambda tree, n: fork(tree, f"name {n}"),
    lambda tree, n: go(tree, tips(tree)[n % len(tips(tree))]),
]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), max_size=40))
def test_whatever_is_done(steps: list[tuple[Callable[[Tree, int], Tree], int]]) -> None:
    """Nodes only ever come to it; each is on a listed branch; exactly one is the present one."""
    tree = Tree()
    for step, n in steps:
        before = tree
        try:
            tree = step(tree, n)
        except UsageError:
            continue
        assert tree.nodes[: len(before.nodes)] == before.nodes
        found = tips(tree)
        on_branches = {number for tip in found for number in path(tree, tip.node)}
        assert on_branches == set(range(len(tree.nodes)))
        assert [tip.node for tip in found if tip.is_present] == [tree.leaf]
        names = [tip.name for tip in found if tip.name]
        assert len(names) == len(set(names))
        assert all(go(tree, tip).leaf == tip.node for tip in found)
        there = go(tree, found[0])
        if tree.branch:  # without a name, a place in the middle of another branch is not listed
            back = next(tip for tip in tips(there) if tip.name == tree.branch)
            assert said(go(there, back)) == said(tree)
