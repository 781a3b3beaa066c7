"""The cache plan: what it says to do leads to what is wanted, and keeps what it can."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.engine.plan import SHORTEST_RUN, Plan, plan

few_ids = st.lists(st.integers(0, 2), max_size=120)
"""With three ids, long stretches of two sequences are the same by chance."""


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """What is cached and what is wanted: the same runs, some left out, some new, some moved."""
    runs = draw(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=60), min_size=1, max_size=6))
    order = draw(st.lists(st.sampled_from(range(len(runs))), min_size=1, max_size=6))
    cached = [i for run in runs for i in run]
    return cached, [i for index in order for i in runs[index]]


def carried_out(cached: Sequence[int], wanted: Sequence[int], steps: Plan) -> list[int]:
    """The cache after the plan: the cuts made from behind, as the engine makes them, then the rest fed."""
    cache = list(cached)
    for start, end in reversed(steps.cuts):
        del cache[start:end]
    behind = cache[steps.kept :]
    del cache[steps.kept :]
    assert cache == list(wanted[: steps.kept])
    n_fed = 0
    for start, end in steps.moved:
        assert len(cache) <= start < end < len(wanted)
        n_fed += start - len(cache)
        cache += [*wanted[len(cache) : start], *behind[: end - start]]
        del behind[: end - start]
        assert steps.fed(len(cache)) == n_fed
    assert not behind
    assert steps.fed(len(wanted)) == n_fed + len(wanted) - len(cache) > 0
    return cache + list(wanted[len(cache) :])


@given(few_ids, few_ids.filter(bool), st.booleans())
def test_rebuilds_what_is_wanted(cached: list[int], wanted: list[int], can_shift: bool) -> None:
    """Whatever is cached, cutting leaves a beginning of `wanted`, and feeding the rest completes it."""
    assert carried_out(cached, wanted, plan(cached, wanted, can_shift)) == wanted


@given(histories(), st.booleans())
def test_rebuilds_histories_whose_runs_moved(history: tuple[list[int], list[int]], can_shift: bool) -> None:
    """The same for what a chat does to its past: runs left out, repeated and in another order."""
    cached, wanted = history
    steps = plan(cached, wanted, can_shift)
    assert carried_out(cached, wanted, steps) == wanted
    assert steps.kept < len(wanted)
    flat = [at for cut in steps.cuts for at in cut]
    assert flat == sorted(set(flat)), "cuts ascend and neither touch nor are empty"
    assert all(0 <= at <= len(cached) for at in flat)


@given(few_ids, few_ids.filter(bool))
def test_without_shifting_keeps_the_whole_common_prefix(cached: list[int], wanted: list[int]) -> None:
    """What is kept is the longest common prefix, but for the last token, which is fed for its logits."""
    steps = plan(cached, wanted, can_shift=False)
    most = min(len(cached), len(wanted) - 1)
    longest = max(n for n in range(most + 1) if cached[:n] == wanted[:n])
    assert steps.kept == longest
    assert steps.cuts == (((longest, len(cached)),) if longest < len(cached) else ())


@given(histories())
def test_shifting_never_keeps_less(history: tuple[list[int], list[int]]) -> None:
    """Being allowed to shift costs nothing."""
    cached, wanted = history
    assert plan(cached, wanted, can_shift=True).kept >= plan(cached, wanted, can_shift=False).kept


@pytest.mark.parametrize("gone", [(100, 300), (100, 101), (1, 900), (0, 500)])
def test_a_cut_in_the_middle_keeps_both_sides(gone: tuple[int, int]) -> None:
    """When a stretch leaves the middle of a long history, only the new end is fed."""
    cached = list(range(1000))
    start, end = gone
    wanted = [*cached[:start], *cached[end:], 5, 6]
    assert plan(cached, wanted, can_shift=True) == Plan(cuts=((start, end),), kept=len(wanted) - 2)
    assert plan(cached, wanted, can_shift=False).kept == start


def test_new_ids_in_the_middle_are_fed_alone() -> None:
    """What follows on them moves: down to make room for them, or up where more has left than came."""
    cached = list(range(1000))
    wanted = [*cached[:100], 2000, *cached[100:], 9]
    assert plan(cached, wanted, can_shift=True) == Plan((), 100, ((101, 1001),))
    assert plan(cached, wanted, can_shift=False) == Plan(((100, 1000),), 100)
    wanted = [*cached[:100], 2000, *cached[400:600], 2001, *cached[700:]]
    steps = plan(cached, wanted, can_shift=True)
    assert steps == Plan(((100, 400), (600, 700), (999, 1000)), 100, ((101, 301), (302, 601)))
    assert steps.fed(len(wanted)) == 3


def test_short_runs_stay_where_they_are() -> None:
    """A run shorter than SHORTEST_RUN is evaluated again rather than shifted."""
    head, gone = list(range(10)), list(range(100, 150))
    for length, shifted in ((SHORTEST_RUN - 1, False), (SHORTEST_RUN, True)):
        run = list(range(200, 200 + length))
        steps = plan([*head, *gone, *run], [*head, *run, 1], can_shift=True)
        assert (steps.kept > len(head)) is shifted


def test_of_equal_runs_the_longest_is_taken() -> None:
    """Where a run stands twice in the cache, the copy that goes on longer is kept."""
    run, more = list(range(100, 140)), list(range(200, 240))
    cached = [1, *run, 7, *run, *more]
    assert plan(cached, [1, *run, *more, 9], can_shift=True).kept == 1 + len(run) + len(more)
