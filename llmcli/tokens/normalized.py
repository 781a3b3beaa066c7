"""Where tokens stand in a text that their vocabulary changes before it cuts: WordPiece and Unigram.

Both are followed character by character, each seen character with the place it comes from. What can't be
followed to the end gives None, and the caller does what it can.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llmcli.tokens.characters import characters_of
from llmcli.tokens.literal import split_at
from llmcli.tokens.tokenizer import SpecialToken
from llmcli.tokens.word_piece import SeenWord, split_words

Span = tuple[int, int]

_CLUSTER = re.compile(r".[\u0300-\u036f\u3099\u309a\u1161-\u11ff]*", re.DOTALL)
"""A character with the marks that may become one with it."""


@runtime_checkable
class Partitioned(Protocol):
    """A tokenizer that says which tokens it cuts out of a text before anything else."""

    def parsed_tokens(self, *, parse_special: bool) -> Sequence[SpecialToken]:
        """Those tokens, the longest text first."""
        ...


def word_piece_spans(
    tokenizer: Partitioned, text: bytes, pieces: Sequence[bytes], special: Sequence[bool]
) -> list[Span] | None:
    """The bytes of `text` that each piece of a WordPiece vocabulary stands for (no BOS, no EOS).

    A special piece is one that the text names, or stands for a word that can't be spelled.
    """
    for parse_special in (True, False):
        stretches: list[Span | SpecialToken] = [(0, len(text))] if text else []
        for token in tokenizer.parsed_tokens(parse_special=parse_special):
            if token.text in text:
                stretches = [p for s in stretches for p in split_at(text, s, token, [(0, len(text))])]
        spans = _follow(text, stretches, pieces, special)
        if spans is not None:
            return spans
    return None


def _follow(
    text: bytes, stretches: Sequence[Span | SpecialToken], pieces: Sequence[bytes], special: Sequence[bool]
) -> list[Span] | None:
    spans: list[Span] = []
    at = 0
    for stretch in stretches:
        if isinstance(stretch, SpecialToken):
            at = text.index(stretch.text, at)
            if len(spans) == len(pieces) or pieces[len(spans)] != stretch.text:
                return None
            spans.append((at, at + len(stretch.text)))
            at += len(stretch.text)
            continue
        at = stretch[0]
        characters = characters_of(text[stretch[0] : stretch[1]])
        starts = [at]
        for size, _ in characters:
            starts.append(starts[-1] + size)
        seen = "".join(character for _, character in characters)
        if len(seen) != len(characters):
            return None  # beyond Unicode: several U+FFFD for one
        for word in split_words(seen):
            found = _word_spans(word, seen, pieces, special, len(spans))
            if found is None:
                return None
            spans += [(starts[begin], starts[end]) for begin, end in found]
        at = stretch[1]
    return spans if len(spans) == len(pieces) else None


def _word_spans(
    word: SeenWord, seen: str, pieces: Sequence[bytes], special: Sequence[bool], first: int
) -> list[Span] | None:
    """The characters of `seen` that the pieces from `first` on stand for, which make up a word."""
    end_of_word = word.origins[-1] + 1
    while end_of_word < len(seen) and unicodedata.category(seen[end_of_word])[0] == "M":
        end_of_word += 1
    if first < len(pieces) and special[first]:
        return [(word.origins[0], end_of_word)]
    spans: list[Span] = []
    done = 0
    while done < len(word.text):
        if first + len(spans) >= len(pieces):
            return None
        piece = pieces[first + len(spans)].decode("utf-8", "replace")
        piece = piece.removeprefix(" ") if not spans else piece
        if not piece or not word.text.startswith(piece, done):
            return None
        end = done + len(piece)
        stop = word.origins[end] if end < len(word.text) else end_of_word
        spans.append((word.origins[done], stop))
        done = end
    return spans


def unigram_spans(text: bytes, pieces: Sequence[bytes], special: Sequence[bool]) -> list[Span] | None:
    """The bytes of `text` that each piece of a Unigram vocabulary stands for (no BOS, no EOS).

    Its characters are seen in their compatible form (NFKC): `ﬁ` may be two tokens, which then stand
    for the same character. Spaces may be more, fewer or others.
    """
    seen = _compatible(text)
    spans: list[Span] = []
    at = 0
    for index, piece in enumerate(pieces):
        if special[index]:
            end = _end_of_unknown(seen, at, pieces[index], pieces[index + 1 : index + 2])
        else:
            end = _match(seen, at, piece.decode("utf-8", "replace"))
        if end is None:
            return None
        begin = at
        while begin < end - 1 and seen[begin][0] == " " and not piece.startswith(b" "):
            begin += 1
        spans.append((seen[begin][1], seen[end - 1][2]) if end > begin else _empty(seen, at, text))
        at = end
    return spans


def _empty(seen: Sequence[tuple[str, int, int]], at: int, text: bytes) -> Span:
    place = seen[at][1] if at < len(seen) else len(text)
    return place, place


def _compatible(text: bytes) -> list[tuple[str, int, int]]:
    """Each character that the vocabulary sees, with the bytes [start, end) that it comes from."""
    characters = characters_of(text)
    whole = "".join(character for _, character in characters)
    starts = [0]
    for size, character in characters:
        starts += [starts[-1] + size] * len(character)
    seen = []
    for cluster in _CLUSTER.finditer(whole):
        start, end = starts[cluster.start()], starts[cluster.end()]
        for character in unicodedata.normalize("NFKC", cluster[0]):
            category = unicodedata.category(character)
            if character.isspace() or category[0] == "Z":
                seen.append((" ", start, end))
            elif category not in ("Cc", "Cf"):
                seen.append((character, start, end))
    return seen


def _match(seen: Sequence[tuple[str, int, int]], at: int, piece: str) -> int | None:
    """Where `piece` ends when it begins at `at`; a space in it stands for any number of spaces."""
    for character in piece:
        if character != " " or (at < len(seen) and seen[at][0] == " "):
            while at < len(seen) and seen[at][0] == " ":
                at += 1
        if character != " ":
            if at == len(seen) or seen[at][0] != character:
                return None
            at += 1
    return at


def _end_of_unknown(
    seen: Sequence[tuple[str, int, int]], at: int, name: bytes, following: Sequence[bytes]
) -> int | None:
    """Where a special token ends: behind its name, or where the next piece begins."""
    named = _match(seen, at, name.decode("utf-8", "replace"))
    if named is not None:
        return named
    if not following:
        return len(seen)
    piece = following[0].decode("utf-8", "replace")
    return next((place for place in range(at + 1, len(seen)) if _match(seen, place, piece) is not None), None)
