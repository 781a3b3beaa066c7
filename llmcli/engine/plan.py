"""What to keep, cut, move and feed so that a cache holds what is wanted: a pure function.

Evaluating a token costs milliseconds, keeping one in the cache costs nothing. A chat changes little between
two turns: most often the cache is the beginning of what is wanted, sometimes a piece has left the middle, and
sometimes another has come in its place.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

SHORTEST_RUN = 32
"""A shifted run remembers what stood before it when it was computed; short ones are not worth that."""

SHORTEST_LINK = 8
"""But one as short as this is taken where a longer one follows, which could not be kept without it."""

ITEM = array("i").itemsize


@dataclass(frozen=True)
class Plan:
    """How to turn a cache into what is wanted.

    `cuts` are the ranges [start, end) to take out of the cache, ascending, in positions before any cut; what
    stands behind a cut moves up. Then the cache holds `wanted[:kept]` and, behind it, what is `moved`: ranges
    of `wanted`, ascending, each of which belongs behind tokens that are still to be fed. That is all the
    others, always at least the last one, because only the last one fed has logits.
    """

    cuts: tuple[tuple[int, int], ...]
    kept: int
    moved: tuple[tuple[int, int], ...] = ()

    def fed(self, length: int) -> int:
        """How many of the first `length` tokens of `wanted` are to be fed."""
        moved = sum(max(0, min(end, length) - start) for start, end in self.moved)
        return max(0, length - self.kept - moved)


def plan(cached: Sequence[int], wanted: Sequence[int], can_shift: bool) -> Plan:
    """The cheapest way from `cached` to `wanted`; with `can_shift`, later runs may move.

    >>> plan([1, 2, 3, 4], [1, 2, 9], can_shift=False)
    Plan(cuts=((2, 4),), kept=2)
    >>> plan([1, 2, 3], [1, 2, 3], can_shift=False)  # the last token is fed again for its logits
    Plan(cuts=((2, 3),), kept=2)
    """
    cached, wanted = list(cached), list(wanted)
    limit = len(wanted) - 1
    kept = at = common_prefix(cached, wanted, limit)
    cuts, moved = list[tuple[int, int]](), list[tuple[int, int]]()
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
        for start, begin, length in _common_runs(cached, at, wanted[:limit], kept):
            cuts += [(at, start)] if start > at else []
            moved.append((begin, begin + length))
            at = start + length
    if at < len(cached):
        cuts.append((at, len(cached)))
    return Plan(tuple(cuts), kept, tuple(moved))


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


def _common_runs(
    cached: Sequence[int], at: int, wanted: Sequence[int], kept: int
) -> Iterator[tuple[int, int, int]]:
    """The long runs that `cached` from `at` on and `wanted` from `kept` on have in common, in order.

    Each is where it starts in either, and its length. They are looked for by windows of SHORTEST_RUN ids, as
    single ids are in common everywhere.
    """
    old, new = _windows(cached[at:]), _windows(wanted[kept:])
    old_end = new_end = 0
    for start, begin, n in SequenceMatcher(None, old, new).get_matching_blocks():
        overlap = max(0, old_end - start, new_end - begin)
        length = n + SHORTEST_RUN - 1 - overlap
        if n and length >= SHORTEST_RUN:
            yield at + start + overlap, kept + begin + overlap, length
            old_end, new_end = start + overlap + length, begin + overlap + length


def _windows(ids: Sequence[int]) -> list[bytes]:
    """Every run of SHORTEST_RUN ids, as bytes."""
    data = _bytes(ids)
    return [data[i * ITEM : (i + SHORTEST_RUN) * ITEM] for i in range(len(ids) - SHORTEST_RUN + 1)]


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
