"""Whatever conversation, policy and template: what the model reads fits the window and is whole."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcli.chat.messages import ASSISTANT, SYSTEM, USER, Message
from llmcli.chat.policies import POLICIES, SHORTEST_END, Budget, Plan
from llmcli.chat.window import Cut, Window, turns_of
from llmcli.errors import WindowFullError
from tests.chat.windows import Spell, body_of, plain, rewriting, strict, window_for

CUTTING = sorted(set(POLICIES) - {"stop"})

texts = st.text("abc", max_size=40)


@st.composite
def talks(draw: st.DrawFn, pairs: bool = False) -> list[Message]:
    """A conversation that ends with a user's message."""
    turns = draw(st.lists(st.tuples(texts, texts), max_size=12))
    turns = turns[: len(turns) // 2 * 2] if pairs else turns
    said = [m for asked, said in turns for m in (Message(USER, asked), Message(ASSISTANT, said))]
    system = [Message(SYSTEM, "be nice")] if draw(st.booleans()) else []
    return [*system, *said, Message(USER, draw(texts))]


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
            summarized = window.after(messages, plan, plain, "s" * (budget.summary // 4))
            if len(window.ids(messages, summarized, plain)) <= budget.room:
                window.keep(summarized, messages)
            else:  # as llmcli.chat.fitting does
                plan = window.plan(messages, plain, budget, "drop")
        if plan.action not in ("nothing", "summarize"):
            check_fits(window, messages, plain, budget, plan)
            window.keep(window.after(messages, plan, plain), messages)
        cut = window.cut(messages)
        assert len(window.ids(messages, cut, plain)) < size
        assert cut.gone >= gone
        gone = cut.gone
        messages = [*messages, Message(ASSISTANT, said)]
        window.pinned |= {(i, body_of(messages)[i]) for i in pins if i < len(messages) - 1 and i not in gone}
    assert len(messages) == 1 + 2 * len(turns)


@pytest.mark.parametrize("policy", CUTTING)
def test_thousands_of_messages(policy: str) -> None:
    """To plan for them takes no memory for each of them with all that come before it."""
    messages = [Message(role, "abc") for _ in range(2000) for role in (USER, ASSISTANT)]
    messages.append(Message(USER, "abc"))
    window = window_for(policy, 200)
    tracemalloc.start()
    try:
        plan = window.plan(messages, plain, window.budget())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check_fits(window, messages, plain, window.budget(), plan)
    assert len(plan.kept) < 40
    assert peak < 20_000_000
