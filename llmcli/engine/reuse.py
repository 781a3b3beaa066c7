"""A prompt spelled with the ids that the cache already has.

A model may write "hello" as `hel` + `lo` where the tokenizer, reading the same text back, says `hello`. The
ids differ, the text does not, and the cache is as good as it was. So a new prompt is compared with the
cache as text, stretch by stretch between special tokens: those are where tokenizing may be cut, because no
token reaches across them.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmcli.tokens.tokenizer import Tokenizer


def reuse(cached: Sequence[int], fresh: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """`fresh`, with the ids of `cached` for the leading stretches whose text is the same.

    Both are split at special tokens. From the first stretch that differs, `fresh` stands as it is.
    """
    ids: list[int] = []
    old = new = 0
    while new < len(fresh):
        old_end, new_end = (_stretch_end(s, at, tokenizer) for s, at in ((cached, old), (fresh, new)))
        known, wanted = cached[old:old_end], fresh[new:new_end]
        if known != wanted and not _same_text(known, wanted, tokenizer):
            break
        ids += known
        old, new = old_end, new_end
        if new == len(fresh) or old == len(cached) or cached[old] != fresh[new]:
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


def _same_text(known: Sequence[int], wanted: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Whether both say the same to a reader, but for a space that the tokenizer itself put before the text.

    A reply that was cut inside a character is kept with a U+FFFD in its place, so both are read like that.
    """
    old, new = (b"".join(map(tokenizer.piece, ids)).decode("utf-8", "replace") for ids in (known, wanted))
    return old == new or (tokenizer.adds_space_prefix and " " + old == new)
