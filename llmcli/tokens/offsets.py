"""Where each token stands in the text: spans of bytes and of characters.

Most vocabularies lose nothing: the pieces of the tokens, joined, are the text, and each span begins where the
last one ends. Four things disturb that, and each is known: SentencePiece puts a space before the text (it
stands for no input), BPE writes U+FFFD for bytes that are no UTF-8, a vocabulary may lack tokens for some
bytes and leave them out (falcon), and WordPiece lowers case, takes accents off, drops control characters
and spaces between words, and has one token for every word that it can't spell.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from llmcli.tokens.tokenizer import Tokenizer

REPLACEMENT = "\ufffd".encode()


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
    first = len(tokenizer.encode(b"", eos=False))
    last = len(ids) - len(tokenizer.encode(b"", bos=False))
    spans = _align(text, pieces, special, range(first, last))
    starts = _character_starts(text)
    tokens = []
    for index, (token_id, piece, (start, end)) in enumerate(zip(ids, pieces, spans, strict=True)):
        char_start = bisect_left(starts, start + 1) - 1 if start < end else bisect_left(starts, start)
        char_end = bisect_left(starts, end) if start < end else char_start
        tokens.append(Token(index, token_id, piece, start, end, char_start, char_end, special[index]))
    return tokens


def _character_starts(text: bytes) -> list[int]:
    """The byte offset of each character; a byte that is no UTF-8 counts as one character."""
    starts, at = [], 0
    for character in text.decode("utf-8", "surrogateescape"):
        starts.append(at)
        at += 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
    return starts


def _align(
    text: bytes, pieces: Sequence[bytes], special: Sequence[bool], own: range
) -> list[tuple[int, int]]:
    """A span of `text` for each piece: as written if possible, else normalised, else empty.

    A special token outside `own` may stand for nothing (BOS, EOS), one within for an unknown word.
    """
    seen, origin = _as_seen(text, pieces)
    spans = []
    at = 0
    for index, (piece, is_special) in enumerate(zip(pieces, special, strict=True)):
        start, end = _next_span(seen, at, piece, special=is_special)
        if is_special and start == end and index in own:
            start, end = _word_span(seen, at)
        spans.append((origin[start], origin[end]))
        at = end
    return spans


def _as_seen(text: bytes, pieces: Sequence[bytes]) -> tuple[bytes, Sequence[int]]:
    """The text with U+FFFD for each byte that is no UTF-8, if the pieces show that the vocabulary saw it so.

    With it, for every offset in it (and its end), the offset in `text`.
    """
    unchanged = range(len(text) + 1)
    characters = text.decode("utf-8", "surrogateescape")
    n_bad = sum("\udc80" <= c <= "\udcff" for c in characters)
    if not n_bad or b"".join(pieces).count(REPLACEMENT) - text.count(REPLACEMENT) < n_bad:
        return text, unchanged
    seen = bytearray()
    origin: list[int] = []
    for character in characters:
        at = origin[-1] + 1 if origin else 0
        if "\udc80" <= character <= "\udcff":
            seen += REPLACEMENT
            origin += [at, at, at]
        else:
            encoded = character.encode()
            seen += encoded
            origin += range(at, at + len(encoded))
    return bytes(seen), [*origin, len(text)]


def _next_span(text: bytes, at: int, piece: bytes, *, special: bool) -> tuple[int, int]:
    """Where `piece` stands in `text` from `at` on; an empty span at `at` where it stands nowhere."""
    if piece and text.startswith(piece, at):
        return at, at + len(piece)
    if special:
        return _special_span(text, at, piece)
    if piece.startswith(b" ") and text.startswith(piece[1:], at):
        return at, at + len(piece) - 1
    return _normalised_span(text, at, piece) or _later_span(text, at, piece)


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


def _normalised_span(text: bytes, at: int, piece: bytes) -> tuple[int, int] | None:
    """Where `piece` stands when case, accents and spaces are left out of account (WordPiece)."""
    wanted = piece.decode("utf-8", "replace").strip()
    source = text[at : at + 16 * len(piece) + 1024].decode("utf-8", "surrogateescape")
    begin = end = at
    matched = ""
    for character in source:
        size = 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
        plain = _plain(character)
        if not matched and not plain:
            begin = end = end + size
            continue
        if len(matched) >= len(wanted) and unicodedata.category(character) != "Mn":
            break
        matched += plain
        end += size
    return (begin, end) if wanted and matched == wanted else None


def _word_span(text: bytes, at: int) -> tuple[int, int]:
    """The next word as WordPiece cuts text: a run of letters and digits, or one character of another kind."""
    begin = end = at
    for character in text[at:].decode("utf-8", "surrogateescape"):
        size = 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
        plain = _plain(character)
        if begin == end and not plain and unicodedata.category(character) != "Mn":
            begin = end = end + size
            continue
        joins = (plain.isalnum() and not _is_chinese(character)) or unicodedata.category(character) == "Mn"
        if begin < end and not joins:
            break
        end += size
        if not joins:
            break
    return begin, end


def _is_chinese(character: str) -> bool:
    return unicodedata.name(character, "").startswith("CJK ")


def _plain(character: str) -> str:
    """A character as llama.cpp's WordPiece sees it: lower case, the first of what it decomposes into.

    Nothing for spaces, controls and accents. Of a Korean syllable that leaves the first consonant.
    """
    if character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Mn"):
        return ""
    return unicodedata.normalize("NFD", character)[0].lower()
