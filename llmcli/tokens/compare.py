"""The same text under several tokenizers: how many tokens each needs, and where they cut differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmcli.tokens.offsets import Token, locate
from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Column:
    """What one tokenizer makes of the text. The ratios are 0 for an empty text."""

    name: str
    algorithm: str
    vocabulary_size: int
    n_tokens: int
    bytes_per_token: float
    tokens_per_char: float


@dataclass(frozen=True)
class Segment:
    """The shortest stretch of bytes [start, end) at whose ends all tokenizers cut, and the tokens of each."""

    start: int
    end: int
    text: bytes
    tokens: tuple[tuple[Token, ...], ...]

    @property
    def differs(self) -> bool:
        """Whether the tokenizers cut it differently."""
        return len({tuple((t.start, t.end) for t in tokens) for tokens in self.tokens}) > 1


@dataclass(frozen=True)
class Comparison:
    """A column a tokenizer, and the text in segments that all agree on."""

    n_bytes: int
    n_chars: int
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]


def compare(
    tokenizers: Sequence[Tokenizer],
    text: bytes,
    *,
    parse_special: bool = True,
    bos: bool | None = None,
    eos: bool | None = None,
) -> Comparison:
    """The text under each tokenizer, without BOS and EOS unless they are asked for."""
    n_chars = len(text.decode("utf-8", "surrogateescape"))
    located = []
    for tokenizer in tokenizers:
        ids = tokenizer.encode(text, parse_special=parse_special, bos=bos or False, eos=eos or False)
        located.append(locate(tokenizer, text, ids))
    columns = [
        Column(
            tokenizer.name,
            tokenizer.algorithm,
            tokenizer.n_tokens,
            len(tokens),
            len(text) / len(tokens) if tokens else 0.0,
            len(tokens) / n_chars if n_chars else 0.0,
        )
        for tokenizer, tokens in zip(tokenizers, located, strict=True)
    ]
    return Comparison(len(text), n_chars, tuple(columns), tuple(_segments(text, located)))


def _segments(text: bytes, located: Sequence[Sequence[Token]]) -> list[Segment]:
    ends = [{token.end for token in tokens if token.end > token.start} for tokens in located]
    begins = [{token.start for token in tokens if token.end > token.start} for tokens in located]
    # What a tokenizer drops (the spaces of WordPiece) belongs to no token: both its ends are borders.
    borders = sorted({0, len(text)} | set.intersection(*(e | b for e, b in zip(ends, begins, strict=True))))
    places = [0] * len(located)
    segments = []
    for start, end in pairwise(borders):
        row = []
        for column, tokens in enumerate(located):
            first = last = places[column]
            while last < len(tokens) and (tokens[last].end <= end and tokens[last].start < end):
                last += 1
            places[column] = last
            row.append(tuple(token for token in tokens[first:last] if token.end > token.start))
        segments.append(Segment(start, end, text[start:end], tuple(row)))
    return segments
