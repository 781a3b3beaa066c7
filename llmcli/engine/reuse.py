"""A prompt spelled with the ids that the cache already has.

A model may write "hello" as `hel` + `lo` where the tokenizer, reading the same text back, says `hello`. The
ids differ, the text does not, and the cache is as good as it was. So a new prompt is compared with the
cache as text, stretch by stretch between special tokens: those are where tokenizing may be cut, because no
token reaches across them.

Where something has left the middle of a conversation, `reuse_around` finds what stood behind it again in the
same way: so it can be moved up within the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate

from llmcli.engine.plan import common_prefix
from llmcli.tokens.tokenizer import Tokenizer


def reuse(cached: Sequence[int], fresh: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """`fresh`, with the ids of `cached` as far as both say the same.

    Both are split at special tokens. In the first stretch that differs, the ids of `cached` stand up to the
    last place where the text is still the same and both have the end of a token; from there, `fresh` stands
    as it is.
    """
    ids, _, new = _reused(cached, fresh, tokenizer)
    return [*ids, *fresh[new:]]


def reuse_around(cached: Sequence[int], fresh: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """The same; but behind the first difference, stretches that `cached` has further on stand as there."""
    ids, old, new = _reused(cached, fresh, tokenizer)
    return [*ids, *_realigned(cached[old:], fresh[new:], tokenizer)]


def _reused(cached: Sequence[int], fresh: Sequence[int], tokenizer: Tokenizer) -> tuple[list[int], int, int]:
    """The ids of `cached` that stand, how many of them that is, and how many of `fresh` they stand for."""
    cached, fresh = list(cached), list(fresh)
    ids: list[int] = []
    old = new = 0
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


def _realigned(cached: Sequence[int], fresh: Sequence[int], tokenizer: Tokenizer) -> Iterator[int]:
    """`fresh`, with the ids of `cached` in the stretches that both have in the same order."""
    old, new = ([*_stretches(ids, tokenizer)] for ids in (cached, fresh))
    have, want = ([_key(stretch, tokenizer) for stretch in stretches] for stretches in (old, new))
    at = 0
    for start, begin, length in SequenceMatcher(None, have, want, autojunk=False).get_matching_blocks():
        for stretch in [*new[at:begin], *old[start : start + length]]:
            yield from stretch
        at = begin + length


def _stretches(ids: Sequence[int], tokenizer: Tokenizer) -> Iterator[Sequence[int]]:
    """The stretches of ordinary tokens, and each special token by itself."""
    start = 0
    while start < len(ids):
        end = max(start + 1, _stretch_end(ids, start, tokenizer))
        yield ids[start:end]
        start = end


def _key(stretch: Sequence[int], tokenizer: Tokenizer) -> int | str:
    """What two stretches have in common that say the same: see `_same_text`."""
    if tokenizer.is_special(stretch[0]):
        return stretch[0]
    text = b"".join(map(tokenizer.piece, stretch))
    return (text.removeprefix(b" ") if tokenizer.adds_space_prefix else text).decode("utf-8", "replace")


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
