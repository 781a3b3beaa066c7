"""The first or last tokens of a text as text, and a text in chunks of so many tokens.

Tokens may end inside a character (Hangul and emoji often do); a text is never cut there. All counts are of
the text's own tokens.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from llmcli.errors import InputError
from llmcli.tokens.offsets import locate
from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Chunk:
    """A stretch of a text: its bytes, where they stand in it, and how many tokens it has there."""

    text: bytes
    start: int
    end: int
    n_tokens: int


def truncate(tokenizer: Tokenizer, text: bytes, ids: Sequence[int], limit: int, *, tail: bool) -> bytes:
    """The text of the first `limit` tokens, or with `tail` of the last; of a character cut in two, nothing.

    `ids` is the text's own tokens, without BOS and EOS.

    >>> truncate(gpt_2, b"one two three", gpt_2.encode(b"one two three"), 2, tail=False)
    b'one two'
    """
    if limit >= len(ids):
        return text
    places = _Places.of(tokenizer, text, ids)
    at = len(ids) - limit if tail else limit
    while not places.may_cut(at):
        at += 1 if tail else -1
    if tail:
        return text[places.starts[at] :] if at < len(ids) else b""
    return text[: places.ends[at - 1]] if at else b""


def chunks(tokenizer: Tokenizer, text: bytes, ids: Sequence[int], size: int, overlap: int) -> Iterator[Chunk]:
    """The text in chunks of at most `size` tokens, each beginning `overlap` tokens before the last one's end.

    `ids` is the text's own tokens, without BOS and EOS. Without overlap the chunks joined are the text. Where
    the cut would fall inside a character, a chunk is shorter and an overlap longer. Raises InputError where
    one character alone has more than `size` tokens.
    """
    places = _Places.of(tokenizer, text, ids)
    first = 0
    while first < len(ids):
        last = places.end_of_chunk(first, size)
        if last == first:
            raise InputError(
                f"the character at byte {places.starts[first]} has more than {size} tokens",
                hint="ask for larger chunks",
            )
        start = places.starts[first] if first else 0
        end = places.begin_of(last)
        if start < end:  # the space that SentencePiece puts before a text is none of it
            yield Chunk(text[start:end], start, end, last - first)
        if last == len(ids):
            return
        back = max(first, last - overlap)
        while back > first and not places.may_cut(back):
            back -= 1
        # Each chunk begins and ends further on in the text than the last one.
        while back < last and (
            places.starts[back] <= start
            or not places.may_cut(back)
            or places.begin_of(places.end_of_chunk(back, size)) <= end
        ):
            back += 1
        first = back


@dataclass(frozen=True)
class _Places:
    """Where each token of a text begins and ends, in bytes."""

    text: bytes
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, text: bytes, ids: Sequence[int]) -> _Places:
        """The places of all tokens; at once where the pieces, joined, are the text."""
        known = {token_id: tokenizer.piece(token_id) for token_id in set(ids)}
        pieces = [known[token_id] for token_id in ids]
        joined = b"".join(pieces)
        added = int(len(joined) == len(text) + 1 and joined.startswith(b" "))
        if joined[added:] == text:
            ends = array("q", (max(0, end - added) for end in accumulate(map(len, pieces))))
            return cls(text, array("q", [0]) + ends[:-1], ends)
        tokens = locate(tokenizer, text, ids)
        starts = array("q", (token.start for token in tokens))
        ends = array("q", (token.end for token in tokens))
        for at in range(len(ids) - 2, -1, -1):
            # Of the tokens of a U+FFFD, which stands for one byte, the last alone has the byte.
            if starts[at] == ends[at] == starts[at + 1] and pieces[at].strip(b" "):
                ends[at] = ends[at + 1]
        return cls(text, starts, ends)

    def begin_of(self, at: int) -> int:
        """Where the token number `at` begins, or behind the last one the text ends."""
        return self.starts[at] if at < len(self.starts) else len(self.text)

    def may_cut(self, at: int) -> bool:
        """Whether no character has bytes on both sides of the token number `at`."""
        if at in (0, len(self.starts)):
            return True
        return _character_at(self.text, self.ends[at - 1])[1] <= _character_at(self.text, self.starts[at])[0]

    def end_of_chunk(self, first: int, size: int) -> int:
        """Where a chunk from `first` on ends: after `size` tokens, or before a character cut in two."""
        last = min(first + size, len(self.starts))
        while last > first and not self.may_cut(last):
            last -= 1
        return last


def _character_at(text: bytes, place: int) -> tuple[int, int]:
    """The bytes [start, end) of the character around `place`; `place` twice where it is inside none.

    >>> _character_at("a한b".encode(), 2), _character_at("a한b".encode(), 4)
    ((1, 4), (4, 4))
    """
    if place < len(text) and text[place] & 0xC0 == 0x80:
        start = place - 1
        while start > max(0, place - 3) and text[start] & 0xC0 == 0x80:
            start -= 1
        for end in range(place + 1, start + 5):
            try:
                character = text[start:end].decode()
            except UnicodeDecodeError:
                continue
            return (start, end) if len(character) == 1 else (place, place)
    return place, place
