"""What a tokenizer is to the rest of llmcli: text to ids, ids to bytes.

Bytes come first. A token stands for bytes, and only several tokens together may make up a character; text
is decoded at the very end (`stream.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llmcli.errors import InputError


@dataclass(frozen=True)
class SpecialToken:
    """A control token: its text, and whether it swallows the white space before and after it."""

    id: int
    text: bytes
    strips_left: bool = False
    strips_right: bool = False


class Tokenizer(Protocol):
    """Text to ids and back.

    Everything that prints or counts tokens, and everything that feeds a model, sees a vocabulary
    through this.
    """

    @property
    def name(self) -> str:
        """What to call it to the user: the model's file name."""
        ...

    @property
    def n_tokens(self) -> int:
        """The size of the vocabulary; ids run from 0 to n_tokens - 1."""
        ...

    @property
    def algorithm(self) -> str:
        """How it splits text: bpe, sentencepiece, wordpiece, unigram, wordlevel, rwkv, or other."""
        ...

    @property
    def adds_space_prefix(self) -> bool:
        """Whether encoding puts a space before the text, as SentencePiece does."""
        ...

    def encode(
        self,
        text: bytes,
        *,
        parse_special: bool = True,
        bos: bool | None = None,
        eos: bool | None = None,
    ) -> list[int]:
        """The ids of `text`.

        `parse_special`: special tokens written in the text become their ids, as in a prompt.
        `bos`, `eos`: add them, or not; None = as the model asks.
        """
        ...

    def piece(self, token_id: int) -> bytes:
        """The bytes a token stands for; for a special token, its name. UsageError if out of range."""
        ...

    def is_special(self, token_id: int) -> bool:
        """Whether a token is a control token: one that no ordinary text becomes."""
        ...

    def special_tokens(self) -> Sequence[SpecialToken]:
        """Every control token that has a text, the longest text first."""
        ...

    def begins_anew(self, token_id: int) -> bool:
        """Whether encoding puts a space before the text behind this token, too, as at the beginning."""
        ...


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> bytes:
    """The bytes that `ids` stand for: the way back from `encode`.

    What `encode` puts in by itself is taken off again: a BOS at the beginning and an EOS at the end, where
    the model asks for them, and the one space that a SentencePiece vocabulary puts at the beginning and after
    a special token. So text -> ids -> text is the identity. Raises UsageError for an id outside the
    vocabulary.
    """
    lead, tail = tokenizer.encode(b"", eos=False), tokenizer.encode(b"", bos=False)
    begin = len(lead) if lead and list(ids[: len(lead)]) == lead else 0
    end = len(ids) - (len(tail) if tail and list(ids[-len(tail) :]) == tail else 0)
    pieces = []
    fresh = tokenizer.adds_space_prefix
    for token_id in ids[begin:end]:
        piece = tokenizer.piece(token_id)
        pieces.append(piece[1:] if fresh and piece.startswith(b" ") else piece)
        fresh = tokenizer.begins_anew(token_id)
    return b"".join(pieces)


def to_bytes(text: str, what: str = "the text") -> bytes:
    """The UTF-8 of `text`, as it came: bytes that were no UTF-8 when Python read them come out as they were.

    A lone surrogate that stands for no byte (JSON can spell one: "\\ud800") has no UTF-8 at all. Raises
    InputError rather than tokenize something else in its place.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        lone = f"U+{ord(text[error.start]):04X}"
        raise InputError(
            f"{what} holds a lone surrogate ({lone}) at character {error.start}",
            hint="it is half of a character and has no UTF-8; write the whole pair",
        ) from None
