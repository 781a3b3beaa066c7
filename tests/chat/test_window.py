"""What leaves a full window and what brings it back: one example each, and the errors."""

from __future__ import annotations

import pytest

from llmcli.chat.messages import ASSISTANT, SYSTEM, USER, Message
from llmcli.chat.window import Window
from llmcli.errors import UsageError, WindowFullError
from tests.chat.windows import plain, window_for

MANY = [m for n in range(10) for m in (Message(USER, f"question {n}"), Message(ASSISTANT, "x" * 20))]


def cut_once(policy: str, **more: int) -> tuple[Window, list[Message]]:
    """A window of 300 after its first cut, and the conversation."""
    window = window_for(policy, 300, **more)
    messages = [*MANY, Message(USER, "and now?")]
    plan = window.plan(messages, plain, window.budget(50))
    window.keep(window.after(messages, plan, plain), messages)
    return window, messages


def test_middle_keeps_the_first_turn() -> None:
    """What leaves is behind the first turn, and before the newest."""
    window, messages = cut_once("middle")
    gone = sorted(window.outside(messages))
    assert gone == list(range(2, 2 + len(gone)))
    assert gone


def test_stepping_back_brings_the_messages_back() -> None:
    """A cut holds as long as the conversation begins as it did when it was made."""
    window, messages = cut_once("drop")
    assert window.outside(messages)
    other = [*messages[:-2], Message(ASSISTANT, "another reply"), messages[-1]]
    assert not window.outside(other)
    assert window.view(other, window.cut(other)) == other


def test_a_new_system_message_changes_nothing_about_a_cut() -> None:
    """What has left stays outside when the system message is set or taken away."""
    window, messages = cut_once("drop")
    gone = window.outside(messages)
    assert window.outside([Message(SYSTEM, "be brief"), *messages]) == gone


def test_pinning_brings_a_message_back() -> None:
    """A pinned message is inside even if its turn had left, and its whole turn with it."""
    window, messages = cut_once("drop")
    assert 0 in window.outside(messages)
    window.pinned.add((0, messages[0]))
    assert not window.outside(messages) & {0, 1}


def test_taking_a_cut_back() -> None:
    """The last cut can be undone; before the first there is none."""
    window, messages = cut_once("drop")
    assert window.take_back(messages)
    assert not window.outside(messages)
    assert not window.take_back(messages)


def test_a_summary_stands_in_the_system_message() -> None:
    """It follows on the system message, or is one."""
    window = window_for("summarize", 300)
    messages = [Message(SYSTEM, "be nice"), *MANY, Message(USER, "and now?")]
    plan = window.plan(messages, plain, window.budget(50))
    assert plan.action == "summarize"
    cut = window.after(messages, plan, plain, "they talked")
    first = window.view(messages, cut)[0]
    assert first.role == SYSTEM
    assert first.content.startswith("be nice\n\n")
    assert first.content.endswith("they talked")
    assert window.view(messages[1:], cut)[0].role == SYSTEM


@pytest.mark.parametrize(
    ("size", "predict", "reserve"),
    [(4096, -1, 1024), (1024, -1, 256), (32768, -1, 1024), (4096, 100, 100), (4096, 8000, 1024)],
)
def test_the_reserve(size: int, predict: int, reserve: int) -> None:
    """-n where it is given, else the smaller of 1,024 and a quarter of the window."""
    assert window_for("drop", size).budget(predict).reserve == reserve


def test_a_reserve_as_large_as_the_window() -> None:
    """It is refused as soon as the window's size is known."""
    with pytest.raises(UsageError, match="--reserve 512: the window has only 512 tokens"):
        window_for("drop", 512, reserve=512)


class TestErrors:
    """What can't fit is said with its size and the room there is."""

    def test_a_message_that_can_not_fit(self) -> None:
        window = window_for("drop", 100)
        messages = [Message(SYSTEM, "be nice"), Message(USER, "x" * 200)]
        with pytest.raises(WindowFullError, match=r"the message has 200 tokens .* there is room for 87"):
            window.plan(messages, plain, window.budget())

    def test_an_insistent_reserve_leaves_less_room(self) -> None:
        window = window_for("drop", 100, reserve=50)
        with pytest.raises(WindowFullError, match="there is room for 47"):
            window.plan([Message(USER, "x" * 60)], plain, window.budget())

    def test_a_message_that_leaves_less_than_the_default_reserve_is_answered(self) -> None:
        window = window_for("drop", 100)
        assert window.plan([Message(USER, "x" * 90)], plain, window.budget()).tokens == 93

    def test_a_system_message_that_can_not_fit(self) -> None:
        window = window_for("drop", 100)
        messages = [Message(SYSTEM, "x" * 120), Message(USER, "hi")]
        with pytest.raises(WindowFullError, match=r"what must stay .* has 125 tokens"):
            window.plan(messages, plain, window.budget())

    def test_stop_refuses(self) -> None:
        window = window_for("stop", 300)
        with pytest.raises(WindowFullError, match=r"the conversation has 351 tokens .* window of 300"):
            window.plan([*MANY, Message(USER, "and now?")], plain, window.budget())
