"""Merging: symbols become tokens, two neighbours at a time, the best pair first.

BPE and SentencePiece do the same and differ in what makes a pair the best: a place in a list of merges, or
the score of what comes out. The classic example, with the merges "a a" and then "aa a":

>>> merge("aaab", {("a", "a"): 0, ("aa", "a"): 1}.get)[0]
['aaa', 'b']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from llmcli.tokens.explain.steps import Merge

Rate = Callable[[tuple[str, str]], "float | None"]
"""How early a pair is merged: the lowest number first; None is never."""


def merge(symbols: Sequence[str], rate: Rate) -> tuple[list[str], list[tuple[Merge, float]]]:
    """The symbols that are left when no pair can be merged, and each merge in order with its rate."""
    texts: list[str | None] = list(symbols)
    left_of = list(range(-1, len(texts) - 1))
    right_of = [*range(1, len(texts)), -1] if texts else []
    queue: list[tuple[float, int, str, str]] = []

    def consider(left: int, right: int) -> None:
        if left >= 0 and right >= 0:
            first, second = texts[left], texts[right]
            if first is not None and second is not None:
                rated = rate((first, second))
                if rated is not None:
                    heappush(queue, (rated, left, first, second))

    for at in range(len(texts) - 1):
        consider(at, at + 1)
    merges = []
    while queue:
        rated, left, first, second = heappop(queue)
        right = right_of[left]
        if texts[left] != first or right < 0 or texts[right] != second:
            continue  # one of them has been merged with another since
        merges.append((Merge(left, first, second), rated))
        texts[left], texts[right] = first + second, None
        right_of[left] = right_of[right]
        if right_of[right] >= 0:
            left_of[right_of[right]] = left
        consider(left_of[left], left)
        consider(left, right_of[left])
    return [text for text in texts if text is not None], merges
