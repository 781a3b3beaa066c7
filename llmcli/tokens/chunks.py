"""The first or last tokens of a text as text, and a text in chunks of so many tokens.

Tokens may end inside a character (Hangul and emoji often do); a text is never cut there. All counts are of
the text's own tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmcli.errors import InputError
from llmcli.tokens.offsets import Token, locate
from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Chunk:
    """A stretch of a text: its bytes, where they stand in it, and how many tokens it has there."""

    text: bytes
    start: int
    end: int
    n_tokens: int


def truncate(tokenizer: Tokenizer, text: bytes, limit: int, *, parse_special: bool, tail: bool) -> bytes:
    """The text of the first `limit` tokens, or with `tail` of the last; of a character cut in two, nothing.

    >>> truncate(gpt_2, b"one two three", 2, parse_special=True, tail=False)
    b'one two'
    """
    tokens = _own_tokens(tokenizer, text, parse_special)
    if limit >= len(tokens):
        return text
    if tail:
        at = len(tokens) - limit
        while at < len(tokens) and not _between_characters(tokens, at):
            at += 1
        return text[tokens[at].start :] if at < len(tokens) else b""
    at = limit
    while not _between_characters(tokens, at):
        at -= 1
    return text[: tokens[at - 1].end] if at else b""


def chunks(
    tokenizer: Tokenizer, text: bytes, size: int, overlap: int, *, parse_special: bool
) -> Iterator[Chunk]:
    """The text in chunks of at most `size` tokens, each beginning `overlap` tokens before the last one's end.

    Without overlap the chunks joined are the text. Where the cut would fall inside a character, a chunk is
    shorter and an overlap longer. Raises InputError where one character alone has more than `size` tokens.
    """
    tokens = _own_tokens(tokenizer, text, parse_special)
    first = 0
    while first < len(tokens):
        last = _last(tokens, first, size)
        if last == first:
            raise InputError(
                f"the character at byte {tokens[first].start} has more than {size} tokens",
                hint="ask for larger chunks",
            )
        start = tokens[first].start if first else 0
        end = tokens[last].start if last < len(tokens) else len(text)
        if start < end:  # the space that SentencePiece puts before a text is none of it
            yield Chunk(text[start:end], start, end, last - first)
        if last == len(tokens):
            return
        back = max(first, last - overlap)
        while back > first and not _between_characters(tokens, back):
            back -= 1
        # Each chunk begins and ends further on in the text than the last one.
        while back < last and (
            tokens[back].start <= start
            or not _between_characters(tokens, back)
            or _last(tokens, back, size) <= last
        ):
            back += 1
        first = back


def _last(tokens: Sequence[Token], first: int, size: int) -> int:
    """Where a chunk from the token `first` on ends: after `size` tokens, or before a character cut in two."""
    last = min(first + size, len(tokens))
    while last > first and not _between_characters(tokens, last):
        last -= 1
    return last


def _own_tokens(tokenizer: Tokenizer, text: bytes, parse_special: bool) -> list[Token]:
    """The text's tokens with their places, without what the vocabulary adds before and after it."""
    return locate(tokenizer, text, tokenizer.encode(text, parse_special=parse_special, bos=False, eos=False))


def _between_characters(tokens: Sequence[Token], at: int) -> bool:
    """Whether no character has bytes on both sides of the token number `at`."""
    return at in (0, len(tokens)) or tokens[at - 1].char_end <= tokens[at].char_start
