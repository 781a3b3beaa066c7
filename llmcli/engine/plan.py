"""What to keep, cut and feed so that a cache holds what is wanted: a pure function.

Evaluating a token costs milliseconds, keeping one in the cache costs nothing. A chat changes little between
two turns: most often the cache is the beginning of what is wanted, and sometimes a piece has left the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST_RUN = 32
"""A shifted run remembers what stood before it when it was computed; short ones are not worth that."""

SHORTEST_LINK = 8
"""But one as short as this is taken where a longer one follows, which could not be kept without it."""


@dataclass(frozen=True)
class Plan:
    """How to turn a cache into what is wanted.

    `cuts` are the ranges [start, end) to take out of the cache, ascending, in positions before any cut; what
    stands behind a cut moves up. Then the cache holds `wanted[:kept]`, and `wanted[kept:]` is to be fed:
    always at least one token, because only the last one fed has logits.
    """

    cuts: tuple[tuple[int, int], ...]
    kept: int


def plan(cached: Sequence[int], wanted: Sequence[int], can_shift: bool) -> Plan:
    """The cheapest way from `cached` to `wanted`; with `can_shift`, later runs may move up.

    >>> plan([1, 2, 3, 4], [1, 2, 9], can_shift=False)
    Plan(cuts=((2, 4),), kept=2)
    >>> plan([1, 2, 3], [1, 2, 3], can_shift=False)  # the last token is fed again for its logits
    Plan(cuts=((2, 3),), kept=2)
    """
    cached, wanted = list(cached), list(wanted)
    limit = len(wanted) - 1
    kept = at = common_prefix(cached, wanted, limit)
    cuts: list[tuple[int, int]] = []
    if can_shift and kept < limit and at < len(cached):
        starts = _run_starts(cached, at)
        reach, done, links = at, kept, list[tuple[int, int]]()
        while found := _longest_run(cached, reach, wanted[done:limit], starts):
            start, length = found
            links.append((reach, start))
            reach, done = start + length, done + length
            if length >= SHORTEST_RUN:
                cuts, links = [*cuts, *links], []
                at, kept = reach, done
    if at < len(cached):
        cuts.append((at, len(cached)))
    return Plan(tuple(cuts), kept)


def common_prefix(a: Sequence[int], b: Sequence[int], limit: int) -> int:
    """How many ids `a` and `b` begin with in common, at most `limit`."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if n >= limit or x != y:
            break
        n += 1
    return n


def _run_starts(ids: Sequence[int], begin: int) -> dict[tuple[int, ...], list[int]]:
    """Where each run of SHORTEST_LINK ids starts, from `begin` on."""
    starts: dict[tuple[int, ...], list[int]] = {}
    for i in range(begin, len(ids) - SHORTEST_LINK + 1):
        starts.setdefault(tuple(ids[i : i + SHORTEST_LINK]), []).append(i)
    return starts


def _longest_run(
    cached: Sequence[int], at: int, wanted: Sequence[int], starts: dict[tuple[int, ...], list[int]]
) -> tuple[int, int] | None:
    """The longest run of `cached` from `at` on that `wanted` begins with: its start and length."""
    best = None
    longest = 0
    for start in starts.get(tuple(wanted[:SHORTEST_LINK]), []):
        if start >= at and cached[start : start + longest + 1] == wanted[: longest + 1]:
            longest = common_prefix(cached[start:], wanted, len(wanted))
            best = start, longest
    return best
