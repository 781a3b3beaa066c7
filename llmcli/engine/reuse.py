"""A prompt spelled with the ids that the cache already has.

A model may write "hello" as `hel` + `lo` where the tokenizer, reading the same text back, says `hello`. The
ids differ, the text does not, and the cache is as good as it was. So a new prompt is compared with the
cache as text, stretch by stretch between special tokens: those are where tokenizing may be cut, because no
token reaches across them.

Where something has left the middle of a conversation, what stood behind it is found again in the same way: so
it can be moved up within the cache.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from llmcli.engine.plan import common_prefix
from llmcli.tokens.tokenizer import Tokenizer


class Cached:
    """The ids in a cache, to spell prompts with."""

    def __init__(self, ids: Sequence[int], tokenizer: Tokenizer) -> None:
        self._ids, self._tokenizer = list(ids), tokenizer

    def reuse(self, fresh: Sequence[int]) -> list[int]:
        """`fresh`, with the ids of the cache where both say the same.

        Both are split at special tokens. In the first stretch that differs, the ids of the cache stand up to
        the last place where the text is still the same and both have the end of a token. Behind it, stretches
        that the cache has further on stand as there, the others as they are in `fresh`.
        """
        ids, old, new = self._reused(fresh)
        return [*ids, *(self._realigned(old, fresh[new:]) if old < len(self._ids) else fresh[new:])]

    def _reused(self, fresh: Sequence[int]) -> tuple[list[int], int, int]:
        """The ids that stand, how many of the cache's that is, and how many of `fresh` they stand for."""
        cached, fresh, tokenizer = self._ids, list(fresh), self._tokenizer
        start = common_prefix(cached, fresh, len(fresh))
        while start and not tokenizer.is_special(cached[start - 1]):
            start -= 1
        ids, old, new = cached[:start], start, start
        while new < len(fresh):
            old_end, new_end = (_stretch_end(s, at, tokenizer) for s, at in ((cached, old), (fresh, new)))
            n_known, n_wanted = _same_text(cached[old:old_end], fresh[new:new_end], tokenizer)
            ids += cached[old : old + n_known]
            old, new = old + n_known, new + n_wanted
            if (old, new) != (old_end, new_end) or new == len(fresh) or old == len(cached):
                break
            if cached[old] != fresh[new]:
                break
            ids.append(fresh[new])  # the special token that ends both stretches
            old, new = old + 1, new + 1
        return ids, old, new

    def _realigned(self, at: int, fresh: Sequence[int]) -> Iterator[int]:
        """`fresh`, with the ids of the cache in the runs of stretches that it has from `at` on."""
        old, new = self._stretches, _Stretches(fresh, self._tokenizer, _as_it_is)
        reach, i = bisect_left(old.starts, at), 0
        while i < len(new.keys):
            place, n = old.longest_run(new.keys, i, reach)
            if n:
                reach = place + n
                yield from old.ids[old.starts[place] : old.starts[reach]]
            else:
                n = 1
                yield from new.ids[new.starts[i] : new.starts[i + 1]]
            i += n

    @cached_property
    def _stretches(self) -> _Stretches:
        return _Stretches(self._ids, self._tokenizer, _as_it_reads)


Key = int | str | bytes
"""What a stretch says: a special token's id, or text; bytes that are no text are the same as nothing else."""


class _Stretches:
    """Ids, split: the stretches of ordinary tokens, and each special token by itself.

    `keys` are what each says, the same for two that say the same: see `_same_text`. The stretch i stands at
    [starts[i], starts[i + 1]).
    """

    def __init__(self, ids: Sequence[int], tokenizer: Tokenizer, key_of: Callable[[bytes], Key]) -> None:
        self.ids = ids
        self.starts, self.keys = [0], list[Key]()
        self._places: dict[Key, list[int]] = {}
        while (start := self.starts[-1]) < len(ids):
            end = _stretch_end(ids, start, tokenizer)
            key = key_of(_said(ids[start:end], tokenizer)) if end > start else ids[start]
            self._places.setdefault(key, []).append(len(self.keys))
            self.keys.append(key)
            self.starts.append(max(end, start + 1))

    def longest_run(self, keys: Sequence[Key], begin: int, reach: int) -> tuple[int, int]:
        """Where, from the stretch `reach` on, most of what `keys` have from `begin` on stands; and how many.

        So a reply given twice, and spelled in two ways, is found where what follows on it is the same, too.
        """
        best = longest = 0
        places = self._places.get(keys[begin], [])
        for place in places[bisect_left(places, reach) :]:
            most, n = min(len(self.keys) - place, len(keys) - begin), 1
            while n < most and self.keys[place + n] == keys[begin + n]:
                n += 1
            if n > longest:
                best, longest = place, n
        return best, longest


def _said(stretch: Sequence[int], tokenizer: Tokenizer) -> bytes:
    text = b"".join(map(tokenizer.piece, stretch))
    return text.removeprefix(b" ") if tokenizer.adds_space_prefix else text


def _as_it_reads(said: bytes) -> Key:
    """What was kept of it: U+FFFD in the place of bytes that are no UTF-8."""
    return said.decode("utf-8", "replace")


def _as_it_is(said: bytes) -> Key:
    """What is wanted, which may begin within a character."""
    try:
        return said.decode()
    except UnicodeDecodeError:
        return said


def _stretch_end(ids: Sequence[int], start: int, tokenizer: Tokenizer) -> int:
    """Where the stretch of ordinary tokens that begins at `start` ends."""
    for i in range(start, len(ids)):
        if tokenizer.is_special(ids[i]):
            return i
    return len(ids)


def _same_text(known: Sequence[int], wanted: Sequence[int], tokenizer: Tokenizer) -> tuple[int, int]:
    """How many tokens of each say the same, but for a space that the tokenizer itself put before the text.

    A reply with bytes that are no UTF-8, cut inside a character say, is kept with U+FFFD in their place:
    where both read the same throughout, all of both says the same.
    """
    if known == wanted:
        return len(known), len(wanted)
    old, new = ([tokenizer.piece(i) for i in ids] for ids in (known, wanted))
    old_text, new_text = b"".join(old), b"".join(new)
    added = tokenizer.adds_space_prefix and new_text.startswith(b" ") and not old_text.startswith(b" ")
    lead = 1 if added else 0
    if old_text.decode("utf-8", "replace").encode() == new_text[lead:]:
        return len(known), len(wanted)
    same = common_prefix(old_text, new_text[lead:], len(old_text))
    old_ends, new_ends = ({end: n for n, end in enumerate(accumulate(map(len, s)), 1)} for s in (old, new))
    ends = [end for end in old_ends if end <= same and end + lead in new_ends]
    return (old_ends[ends[-1]], new_ends[ends[-1] + lead]) if ends else (0, 0)
