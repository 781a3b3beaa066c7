"""Tokenizing a prompt of which some parts are literal: text that must never become a special token.

A prompt is written by a chat template, whose special tokens are meant, and by people, whose text is text even
where it spells `<|im_end|>`. The special tokens are found here as llama.cpp finds them (the longest first,
each swallowing the white space it swallows), but only where the template wrote them; what lies between two of
them is tokenized whole, so that the border between template and content changes no token.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial

from llmcli.tokens.tokenizer import SpecialToken, Tokenizer

Fragment = tuple[int, int] | SpecialToken
"""A stretch [start, end) of ordinary text, or the special token between two of them."""

Encode = Callable[[bytes], Sequence[int]]
"""The ids of a stretch of ordinary text."""

_SPACE = b" \t\n\v\f\r"
_MOST_REMEMBERED = 4 << 20
"""Bytes of texts and ids."""
_EACH = 250
"""Bytes that a text and its ids take beside their own."""


def encode_parts(
    tokenizer: Tokenizer, parts: Sequence[tuple[bytes, bool]], encode: Encode | None = None
) -> list[int]:
    """The ids of the parts joined; each is its bytes and whether they are literal. Adds no BOS or EOS.

    A special token is meant where it stands whole inside one part that is not literal. `encode` is one that
    remembers, for prompts that are much the same again and again.
    """
    text = b"".join(part for part, _ in parts)
    if encode is None and len(parts) == 1 and not parts[0][1]:
        return tokenizer.encode(text, bos=False, eos=False)
    encode = encode or _ordinary(tokenizer)
    meant = _ranges(parts)
    fragments: list[Fragment] = [(0, len(text))]
    for special in tokenizer.special_tokens():
        if special.text in text:
            fragments = [piece for f in fragments for piece in split_at(text, f, special, meant)]
    ids: list[int] = []
    for fragment in fragments:
        if isinstance(fragment, SpecialToken):
            ids.append(fragment.id)
        else:
            start, end = fragment
            ids += encode(text[start:end])
    return ids


def remembering(tokenizer: Tokenizer) -> Encode:
    """An encoder that tokenizes a stretch of ordinary text once, however often it is asked for.

    What it was not asked for longest it forgets first, so that the rest takes little memory.
    """
    return _Remembering(_ordinary(tokenizer))


class _Remembering:
    """See `remembering`."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._known: dict[bytes, array[int]] = {}  # what was asked for last comes last
        self._n_bytes = 0

    def __call__(self, text: bytes) -> Sequence[int]:
        ids = self._known.pop(text, None)
        if ids is None:
            ids = array("i", self._encode(text))
            if _n_bytes(text, ids) > _MOST_REMEMBERED:
                return ids
            self._n_bytes += _n_bytes(text, ids)
        self._known[text] = ids
        while self._n_bytes > _MOST_REMEMBERED:
            oldest = next(iter(self._known))
            self._n_bytes -= _n_bytes(oldest, self._known.pop(oldest))
        return ids


def _n_bytes(text: bytes, ids: array[int]) -> int:
    return _EACH + len(text) + len(ids) * ids.itemsize


def _ordinary(tokenizer: Tokenizer) -> Encode:
    return partial(tokenizer.encode, parse_special=False, bos=False, eos=False)


def _ranges(parts: Sequence[tuple[bytes, bool]]) -> list[tuple[int, int]]:
    """Where the parts that are not literal stand in the text."""
    ranges, at = [], 0
    for part, literal in parts:
        if not literal:
            ranges.append((at, at + len(part)))
        at += len(part)
    return ranges


def split_at(
    text: bytes, fragment: Fragment, special: SpecialToken, meant: Sequence[tuple[int, int]]
) -> list[Fragment]:
    """A fragment, split at every place where `special` stands within one of the ranges `meant`."""
    if isinstance(fragment, SpecialToken):
        return [fragment]
    start, end = fragment
    pieces: list[Fragment] = []
    look = start
    while (at := text.find(special.text, look, end)) >= 0:
        after = at + len(special.text)
        if not any(begin <= at and after <= stop for begin, stop in meant):
            look = at + 1
            continue
        left = len(text[start:at].rstrip(_SPACE)) + start if special.strips_left else at
        if left > start:
            pieces.append((start, left))
        pieces.append(special)
        if special.strips_right:
            after = end - len(text[after:end].lstrip(_SPACE))
        start = look = after
    if start < end:
        pieces.append((start, end))
    return pieces
