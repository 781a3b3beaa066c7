"""The window: whatever conversation, policy and template, what the model reads fits and is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcli.chat.messages import ASSISTANT, SYSTEM, USER, Message
from llmcli.chat.policies import POLICIES, SHORTEST_END, Budget, Plan
from llmcli.chat.window import Cut, Window, turns_of
from llmcli.errors import TemplateError, UsageError, WindowFullError
from llmcli.settings.window import WindowOptions

Spell = Callable[[Sequence[Message]], list[int]]
ROLES = {SYSTEM: 1, USER: 2, ASSISTANT: 3}
CUTTING = sorted(set(POLICIES) - {"stop"})


def plain(messages: Sequence[Message]) -> list[int]:
    """A template as most are: a role, an id a character, an end; and what opens the reply."""
    ids = []
    for message in messages:
        ids += [ROLES[message.role], *(10 + ord(c) for c in message.content), 4]
    return [*ids, 3]


def rewriting(messages: Sequence[Message]) -> list[int]:
    """What a message takes depends on its neighbours: all but the last reply are shortened."""
    last = max((i for i, m in enumerate(messages) if m.role == ASSISTANT), default=-1)
    return plain(
        [
            Message(m.role, m.content[:3]) if m.role == ASSISTANT and i != last else m
            for i, m in enumerate(messages)
        ]
    )


def strict(messages: Sequence[Message]) -> list[int]:
    """Refuses what does not alternate between user and assistant, and an odd number of earlier turns."""
    body = [m for m in messages if m.role != SYSTEM]
    if [m.role for m in body] != [USER, ASSISTANT] * (len(body) // 2) + [USER] * (len(body) % 2):
        raise TemplateError("roles must alternate")
    if len(body) > 1 and len(body) // 2 % 2:
        raise TemplateError("I count turns in pairs")
    return plain(messages)


texts = st.text("abc", max_size=40)


@st.composite
def talks(draw: st.DrawFn, pairs: bool = False) -> list[Message]:
    """A conversation that ends with a user's message."""
    turns = draw(st.lists(st.tuples(texts, texts), max_size=12))
    turns = turns[: len(turns) // 2 * 2] if pairs else turns
    said = [m for asked, said in turns for m in (Message(USER, asked), Message(ASSISTANT, said))]
    system = [Message(SYSTEM, "be nice")] if draw(st.booleans()) else []
    return [*system, *said, Message(USER, draw(texts))]


def window_for(policy: str, size: int, keep: int = 0, reserve: int | None = None) -> Window:
    return Window(size, WindowOptions(overflow=policy, keep_messages=keep, reserve=reserve))


def body_of(messages: Sequence[Message]) -> list[Message]:
    return [m for m in messages if m.role != SYSTEM]


def check_fits(window: Window, messages: list[Message], spell: Spell, budget: Budget, plan: Plan) -> None:
    """What holds for every plan."""
    cut = window.cut(messages) if plan.action == "nothing" else window.after(messages, plan, spell)
    view = window.view(messages, cut)
    ids = window.ids(messages, cut, spell)
    assert len(ids) == plan.tokens
    assert len(ids) <= budget.room or (not budget.insistent and len(ids) < budget.size)
    body = body_of(messages)
    assert [body[i] for i in plan.kept] == body_of(view), "whole messages, in their order"
    assert window.head(messages, cut) == view[: len(view) - len(plan.kept)]
    assert [m.content for m in messages if m.role == SYSTEM] == [
        m.content.split("\n\nSummary")[0] for m in view if m.role == SYSTEM
    ][: len(messages) - len(body)], "the system message is inside"
    assert plan.kept[-1] == len(body) - 1, "the newest message is inside"
    assert set(range(min(window.options.keep_messages, len(body)))) <= set(plan.kept)
    assert {i for i, _ in window.pinned} <= set(plan.kept)
    gone = set(range(len(body))) - set(plan.kept)
    assert all(set(turn) <= gone or not set(turn) & gone for turn in turns_of(body)), "whole turns"
    whole = spell(view)
    assert ids == whole[: len(ids) - _tail(ids, whole)] + whole[len(whole) - _tail(ids, whole) :]


def _tail(ids: list[int], whole: list[int]) -> int:
    """How much of the end both have in common beyond the beginning that they have in common."""
    head = next((i for i, (a, b) in enumerate(zip(ids, whole, strict=False)) if a != b), len(ids))
    return len(ids) - head


@settings(deadline=None, max_examples=200)
@given(
    talks(),
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from([plain, rewriting]),
    st.integers(61, 400),
    st.integers(0, 60),
    st.booleans(),
    st.integers(0, 4),
    st.integers(0, 25),
)
def test_what_every_plan_keeps(
    messages: list[Message],
    policy: str,
    spell: Spell,
    size: int,
    reserve: int,
    insistent: bool,
    keep: int,
    pin: int,
) -> None:
    """Never over the window; system, pinned, kept and newest messages inside; whole turns; order kept."""
    window = window_for(policy, size, keep, reserve if insistent else None)
    if pin < len(body_of(messages)):
        window.pinned.add((pin, body_of(messages)[pin]))
    budget = window.budget(reserve)
    before = list(messages)
    try:
        plan = window.plan(messages, spell, budget)
    except WindowFullError:
        if policy != "stop":
            fixed = window.measured(messages, window.cut(messages), spell)
            least = fixed.tokens(fixed.gone.union(*fixed.turns))
            limit = budget.room if insistent else size - 1
            assert least is not None
            assert least > limit or spell is rewriting, "it was refused though it fits"
        return
    check_fits(window, messages, spell, budget, plan)
    assert messages == before, "the history stays"
    if len(spell(messages)) <= budget.room:
        assert plan.action == "nothing"


@settings(deadline=None, max_examples=200)
@given(talks(), st.integers(61, 400), st.integers(0, 60))
def test_the_loss_is_the_smallest_that_makes_room(messages: list[Message], size: int, reserve: int) -> None:
    """One turn less would not have made room for the reply and the spare part."""
    window = window_for("drop", size)
    budget = window.budget(reserve)
    try:
        plan = window.plan(messages, plain, budget)
    except WindowFullError:
        return
    if not plan.dropped or plan.tokens > budget.room:
        return
    spared = plan.tokens <= budget.room - budget.spare
    target = budget.room - budget.spare if spared else budget.room
    last = next(turn for turn in turns_of(body_of(messages)) if plan.dropped[-1] in turn)
    one_less = frozenset(plan.dropped) - set(last)
    measured = window.measured(messages, window.cut(messages), plain)
    assert (measured.tokens(one_less) or 0) > target
    assert list(plan.dropped) == list(range(len(plan.dropped))), "the oldest leave"


@settings(deadline=None, max_examples=150)
@given(talks(), st.integers(80, 300))
def test_shift_loses_no_token_more_than_needed(messages: list[Message], size: int) -> None:
    """Where whole turns would free more, the prompt is exactly as large as it may be."""
    window = window_for("shift", size)
    budget = window.budget(20)
    try:
        plan = window.plan(messages, plain, budget)
    except WindowFullError:
        return
    if plan.action == "shift":
        assert plan.tokens in (budget.room - budget.spare, budget.room)
        assert plan.cut < len(plain([body_of(messages)[i] for i in plan.part])) - 1
        without = window.measured(messages, Cut(), plain).tokens(frozenset({*plan.dropped, *plan.part}))
        assert plan.tokens - (without or 0) >= SHORTEST_END, "what stays of a turn says something"


@settings(deadline=None, max_examples=150)
@given(talks(pairs=True), st.sampled_from(["drop", "middle"]), st.integers(60, 300))
def test_the_cut_is_made_where_the_template_accepts_it(
    messages: list[Message], policy: str, size: int
) -> None:
    """A template that refuses some cuts gets one that it takes."""
    window = window_for(policy, size)
    budget = window.budget(20)
    try:
        plan = window.plan(messages, strict, budget)
    except WindowFullError:
        return
    check_fits(window, messages, strict, budget, plan)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(texts, texts), min_size=1, max_size=25),
    st.sampled_from(CUTTING),
    st.integers(100, 400),
    st.sets(st.integers(0, 30), max_size=2),
)
def test_a_whole_conversation(turns: list[tuple[str, str]], policy: str, size: int, pins: set[int]) -> None:
    """Turn after turn, cut upon cut: each prompt fits, and what has left does not come back by itself."""
    window = window_for(policy, size)
    budget = window.budget(-1)
    messages = [Message(SYSTEM, "be nice")]
    gone: frozenset[int] = frozenset()
    for asked, said in turns:
        messages = [*messages, Message(USER, asked)]
        try:
            plan = window.plan(messages, plain, budget)
        except WindowFullError:
            return
        if plan.action == "summarize":
            check_fits(window, messages, plain, budget, plan)
            window.keep(window.after(messages, plan, plain, "s" * (budget.summary // 4)), messages)
        elif plan.action != "nothing":
            check_fits(window, messages, plain, budget, plan)
            window.keep(window.after(messages, plan, plain), messages)
        cut = window.cut(messages)
        assert len(window.ids(messages, cut, plain)) < size
        assert cut.gone >= gone
        gone = cut.gone
        messages = [*messages, Message(ASSISTANT, said)]
        window.pinned |= {(i, body_of(messages)[i]) for i in pins if i < len(messages) - 1 and i not in gone}
    assert len(messages) == 1 + 2 * len(turns)


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
