"""Which merges of a BPE vocabulary ever happen: for each token the one pair that becomes it.

A list of merges often names several pairs for a token (`t he`, `th e`), and SentencePiece's rule, "merge what
makes a token", names all of them. Only one can happen: what is merged inside a token before it is whole can't
reach beyond it, so it is what would be merged were the token alone, whatever stands around it. That run's
last pair is the token's own; the others may wait in the queue, but are never taken from it. So to leave them
out changes no id, and an engine that gives every pair a rank of its own takes the same ones as llama.cpp,
which ranks SentencePiece's merges by the token that they make.

This holds where the best merge is taken first, and of equally good ones the leftmost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

_NEVER = 1 << 62


def own_merges(merges: Sequence[str]) -> list[str]:
    """Those of `merges`, two parts with a space between them, that ever happen.

    >>> own_merges(["t h", "t he", "th e", "h e"])
    ['t h', 'th e', 'h e']

    The first one in the list is merged first. A token keeps one pair at most: none if it is never reached.
    """
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    for token in sorted({merge.replace(" ", "", 1) for merge in merges}, key=len):
        ways = [way for at in range(1, len(token)) if (way := f"{token[:at]} {token[at:]}") in ranks]
        if len(ways) > 1:
            own = _last_merge(token, ranks)
            for way in ways:
                if way != own:
                    del ranks[way]
    return list(ranks)


def _last_merge(token: str, ranks: Mapping[str, int]) -> str | None:
    """The two parts that are left of a token after all merges of shorter ones; None where more are left."""
    parts = list(token)
    waiting = [ranks.get(f"{left} {right}", _NEVER) for left, right in pairwise(parts)]
    while len(parts) > 2:
        best = min(waiting)
        if best == _NEVER:
            return None
        at = waiting.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        del waiting[at]
        if at:
            waiting[at - 1] = ranks.get(f"{parts[at - 1]} {parts[at]}", _NEVER)
        if at < len(waiting):
            waiting[at] = ranks.get(f"{parts[at]} {parts[at + 1]}", _NEVER)
    return " ".join(parts)
