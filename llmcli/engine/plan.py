"""What to keep, cut and feed so that a cache holds what is wanted: a pure function.

Evaluating a token costs milliseconds, keeping one in the cache costs nothing. A chat changes little between
two turns: most often the cache is the beginning of what is wanted, and sometimes a piece has left the middle.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHORTEST_RUN = 32
"""A shifted run remembers what stood before it when it was computed; short ones are not worth that."""

SHORTEST_LINK = 8
"""But one as short as this is taken where a longer one follows, which could not be kept without it."""

ITEM = array("i").itemsize


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
        data = _bytes(cached)
        reach, done, links = at, kept, list[tuple[int, int]]()
        while found := _longest_run(cached, data, reach, wanted[done:limit]):
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


def _longest_run(
    cached: Sequence[int], data: bytes, at: int, wanted: Sequence[int]
) -> tuple[int, int] | None:
    """The longest run of `cached`, whose bytes are `data`, that `wanted` begins with: start and length.

    It starts at `at` or behind it.
    """
    best = None
    longest = 0
    for start in _places(data, _bytes(wanted[:SHORTEST_LINK]), at):
        if start + longest >= len(cached) or longest == len(wanted):
            break
        if cached[start : start + longest + 1] == wanted[: longest + 1]:
            longest = common_prefix(cached[start:], wanted, len(wanted))
            best = start, longest
    return best


def _places(data: bytes, run: bytes, at: int) -> Iterator[int]:
    """Where the ids of a run of SHORTEST_LINK stand in the bytes of others, from `at` on."""
    if len(run) < SHORTEST_LINK * ITEM:
        return
    place = data.find(run, at * ITEM)
    while place >= 0:
        if place % ITEM == 0:
            yield place // ITEM
        place = data.find(run, place + 1)


def _bytes(ids: Sequence[int]) -> bytes:
    """The ids as bytes, in which a run is found at the speed of a search for text."""
    return array("i", ids).tobytes()
