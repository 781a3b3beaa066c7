"""A prompt spelled with the ids that the cache already has.

A model may write "hello" as `hel` + `lo` where the tokenizer, reading the same text back, says `hello`. The
ids differ, the text does not, and the cache is as good as it was. So a new prompt is compared with the
cache as text, stretch by stretch between special tokens: those are where tokenizing may be cut, because no
token reaches across them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from llmcli.engine.plan import common_prefix
from llmcli.tokens.tokenizer import Tokenizer


def reuse(cached: Sequence[int], fresh: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """`fresh`, with the ids of `cached` as far as both say the same.

    Both are split at special tokens. In the first stretch that differs, the ids of `cached` stand up to the
    last place where the text is still the same and both have the end of a token; from there, `fresh` stands
    as it is.
    """
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
    return [*ids, *fresh[new:]]


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
