"""Where each token stands in the text: spans of bytes and of characters.

Most vocabularies lose nothing: the pieces of the tokens, joined, are the text, and each span begins where the
last one ends. Four things disturb that, and each is known: SentencePiece puts a space before the text (it
stands for no input), BPE writes U+FFFD for bytes that are no UTF-8, a vocabulary may lack tokens for some
bytes and leave them out (falcon), and WordPiece lowers case, takes accents off, drops control characters
and spaces between words, and has one token for every word that it can't spell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llmcli.tokens.characters import characters_of
from llmcli.tokens.normalized import Partitioned, unigram_spans, word_piece_spans
from llmcli.tokens.spelled import follow
from llmcli.tokens.tokenizer import Tokenizer


@runtime_checkable
class TellsSpans(Protocol):
    """A tokenizer that knows itself which characters its tokens stand for."""

    def char_spans(self, text: bytes, ids: Sequence[int]) -> Sequence[tuple[int, int]] | None:
        """The characters [start, end) of each id; None where `ids` is not what `text` encodes to."""
        ...


@dataclass(frozen=True)
class Token:
    """One token of a text, with where it stands.

    `start` and `end` are byte offsets in the text, `char_start` and `char_end` character offsets (a span that
    begins or ends inside a character counts the whole character). A token that stands for no text of
    the input, such as BOS, has start = end.
    """

    index: int
    id: int
    piece: bytes
    start: int
    end: int
    char_start: int
    char_end: int
    special: bool

    @property
    def text(self) -> str:
        """The piece for reading: U+FFFD where it is no UTF-8."""
        return self.piece.decode("utf-8", "replace")


def locate(tokenizer: Tokenizer, text: bytes, ids: Sequence[int]) -> list[Token]:
    """The tokens of `text` with their offsets; `ids` is what `tokenizer.encode(text)` gave."""
    pieces = [tokenizer.piece(i) for i in ids]
    special = [tokenizer.is_special(i) for i in ids]
    starts = _character_starts(text)
    spans = _spans(tokenizer, text, ids, pieces, special, starts)
    tokens = []
    for index, (token_id, piece, (start, end)) in enumerate(zip(ids, pieces, spans, strict=True)):
        char_start = bisect_left(starts, start + 1) - 1 if start < end else bisect_left(starts, start)
        char_end = bisect_left(starts, end) if start < end else char_start
        tokens.append(Token(index, token_id, piece, start, end, char_start, char_end, special[index]))
    return tokens


def _spans(
    tokenizer: Tokenizer,
    text: bytes,
    ids: Sequence[int],
    pieces: Sequence[bytes],
    special: Sequence[bool],
    starts: Sequence[int],
) -> Sequence[tuple[int, int]]:
    """The bytes of each token, by the way that suits the vocabulary."""
    if isinstance(tokenizer, TellsSpans):
        spans = _align(text, pieces, special)
        if _covers(spans, len(text)):
            return spans
        told = tokenizer.char_spans(text, ids)
        ends = [*starts, len(text)]
        return spans if told is None else [(ends[begin], ends[end]) for begin, end in told]
    if tokenizer.algorithm in ("wordpiece", "unigram"):
        lead, tail = tokenizer.encode(b"", eos=False), tokenizer.encode(b"", bos=False)
        first = len(lead) if lead and list(ids[: len(lead)]) == lead else 0
        last = len(ids) - (len(tail) if tail and list(ids[len(ids) - len(tail) :]) == tail else 0)
        own = slice(first, max(first, last))
        found = None
        if tokenizer.algorithm == "unigram":
            found = unigram_spans(text, pieces[own], special[own])
        elif isinstance(tokenizer, Partitioned):
            found = word_piece_spans(tokenizer, text, pieces[own], special[own])
        if found is not None:
            n = len(text)
            return [(0, 0)] * first + found + [(n, n)] * (len(ids) - max(first, last))
    if tokenizer.algorithm == "sentencepiece":
        return _align(
            text, pieces, special, [tokenizer.adds_space_prefix, *map(tokenizer.begins_anew, ids[:-1])]
        )
    return _align(text, pieces, special)


def _covers(spans: Sequence[tuple[int, int]], size: int) -> bool:
    """Whether each span begins where the last one ends, from the text's beginning to its end."""
    at = 0
    for start, end in spans:
        if start != at:
            return False
        at = end
    return at == size


def _character_starts(text: bytes) -> list[int]:
    """The byte offset of each character; a byte that is no UTF-8 counts as one character."""
    starts, at = [], 0
    for character in text.decode("utf-8", "surrogateescape"):
        starts.append(at)
        at += 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
    return starts


def _align(
    text: bytes, pieces: Sequence[bytes], special: Sequence[bool], fresh: Sequence[bool] | None = None
) -> list[tuple[int, int]]:
    """A span of `text` for each piece: where it stands as written, else empty.

    Of a SentencePiece vocabulary, `fresh` says before which pieces a space is put that is not in the text.

    A text may begin as BOS is spelled, behind white space or not. Then the first token is an added BOS, which
    stands for no text, if the others find their places no worse without it.
    """

    def in_order(first: int) -> list[tuple[int, int]]:
        if fresh is None:
            return _align_in_order(text, pieces[first:], special[first:])
        return _align_spelled(text, pieces[first:], special[first:], fresh[first:])

    spans = in_order(0)
    if special and special[0] and pieces[0] and text.lstrip().startswith(pieces[0]):
        without = [(0, 0), *in_order(1)]
        if _n_empty(without) <= _n_empty(spans):
            return without
    return spans


def _n_empty(spans: Sequence[tuple[int, int]]) -> int:
    return sum(start == end for start, end in spans)


def _align_in_order(text: bytes, pieces: Sequence[bytes], special: Sequence[bool]) -> list[tuple[int, int]]:
    seen, origin = _as_seen(text, pieces)
    spans = []
    at = 0
    for piece, is_special in zip(pieces, special, strict=True):
        start, end = _next_span(seen, at, piece, special=is_special)
        spans.append((origin[start], origin[end]))
        at = end
    return spans


def _align_spelled(
    text: bytes, pieces: Sequence[bytes], special: Sequence[bool], fresh: Sequence[bool]
) -> list[tuple[int, int]]:
    spans = []
    at = inside = 0
    for piece, is_special, is_fresh in zip(pieces, special, fresh, strict=True):
        found = None if is_special else follow(text, at, inside, piece, fresh=is_fresh)
        if found is None:
            start, at = _next_span(text, at, piece, special=is_special)
            inside = 0
        else:
            start, (at, inside) = at, found
        spans.append((start, at))
    return spans


def _as_seen(text: bytes, pieces: Sequence[bytes]) -> tuple[bytes, Sequence[int]]:
    """The text as a vocabulary of characters sees it, if the pieces show that this one does.

    With it, for every offset in it (and its end), the offset in `text`.
    """
    unchanged = range(len(text) + 1)
    joined = b"".join(pieces)
    for characters in (_python_characters, characters_of, _with_spaces):
        if text in joined:
            break
        seen = bytearray()
        origin: list[int] = []
        at = 0
        for size, character in characters(text):
            encoded = character.encode("utf-8", "surrogatepass")
            origin += range(at, at + size) if len(encoded) == size else [at] * len(encoded)
            seen += encoded
            at += size
        if bytes(seen) != text and bytes(seen) in joined:
            return bytes(seen), [*origin, len(text)]
    return text, unchanged


def _python_characters(text: bytes) -> list[tuple[int, str]]:
    """Each character with its size in bytes; U+FFFD for a byte that is no UTF-8."""
    return [
        (1, "\ufffd") if "\udc80" <= character <= "\udcff" else (len(character.encode()), character)
        for character in text.decode("utf-8", "surrogateescape")
    ]


def _with_spaces(text: bytes) -> list[tuple[int, str]]:
    """The same where U+2581 is a space: SentencePiece spells spaces so, and can't tell the two apart."""
    return [
        (size, " " if character == "\u2581" else character) for size, character in _python_characters(text)
    ]


def _next_span(text: bytes, at: int, piece: bytes, *, special: bool) -> tuple[int, int]:
    """Where `piece` stands in `text` from `at` on; an empty span at `at` where it stands nowhere."""
    if piece and text.startswith(piece, at):
        return at, at + len(piece)
    if special:
        return _special_span(text, at, piece)
    if piece.startswith(b" ") and text.startswith(piece[1:], at):
        return at, at + len(piece) - 1
    return _behind_spaces(text, at, piece) or _later_span(text, at, piece)


def _behind_spaces(text: bytes, at: int, piece: bytes) -> tuple[int, int] | None:
    """Where `piece` stands behind the spaces that a special token before it swallowed."""
    word = piece.removeprefix(b" ")
    begin = at + len(text[at : at + 1024]) - len(text[at : at + 1024].lstrip())
    return (begin, begin + len(word)) if word and text.startswith(word, begin) else None


def _later_span(text: bytes, at: int, piece: bytes) -> tuple[int, int]:
    """Where `piece` stands a little further on, behind bytes for which the vocabulary has no token."""
    found = text.find(piece, at, at + 64) if piece else -1
    return (found, found + len(piece)) if found >= 0 else (at, at)


def _special_span(text: bytes, at: int, piece: bytes) -> tuple[int, int]:
    """A special token: after the spaces it swallows, or nowhere (BOS, EOS)."""
    begin = at
    while begin < len(text) and text[begin : begin + 1].isspace():
        begin += 1
    return (begin, begin + len(piece)) if piece and text.startswith(piece, begin) else (at, at)
