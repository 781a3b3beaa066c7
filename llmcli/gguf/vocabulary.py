"""A GGUF file's vocabulary as the file has it: tokens, kinds, scores and merges, and how to use them.

llama.cpp turns the same arrays into its tokenizer and shows only its ids. They are read here for those who
want to know why: `tokens/explain/` and `llmcli vocab`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcli.errors import GgufError
from llmcli.gguf.header import Array, Header, read_header

PREFIX = "tokenizer.ggml."
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""The kinds of tokens, in the file's numbers."""


@dataclass(frozen=True)
class GgufVocabulary:
    """The arrays of a vocabulary, a token each, and the settings beside them.

    `scores` and `merges` are empty where the file has none. A merge is two pieces with a space between them.
    """

    path: Path
    model: str
    """The family: gpt2 (BPE), llama (SentencePiece), bert (WordPiece), t5 (Unigram), rwkv, ..."""
    pre: str
    """Which pre-tokenizer cuts the text; empty where the file does not say."""
    tokens: list[str]
    kinds: list[int]
    scores: list[float]
    merges: list[str]
    charsmap: bytes
    unknown: int | None
    """The id of the token for what the vocabulary can't spell, where the file names one."""
    adds_space: bool | None
    removes_spaces: bool
    lowercase: bool
    strips_accents: bool


def read_vocabulary(path: Path) -> GgufVocabulary:
    """The vocabulary of the GGUF file at `path`.

    Raises GgufError where there is none, or an array is shorter than the vocabulary.
    """
    header = read_header(path)
    if not isinstance(header.metadata.get(PREFIX + "tokens"), Array):
        raise GgufError(f"{path}: holds no vocabulary", hint="llmcli needs a model of text")
    tokens = header.array(PREFIX + "tokens")
    lowercase = _flag(header, "normalizer.lowercase", True)
    return GgufVocabulary(
        path=path,
        model=_text(header, "model"),
        pre=_text(header, "pre"),
        tokens=[str(token) for token in tokens],
        kinds=_as_long(header, "token_type", len(tokens)) or [NORMAL] * len(tokens),
        scores=_as_long(header, "scores", len(tokens)),
        merges=_array(header, "merges"),
        charsmap=bytes(value & 0xFF for value in _array(header, "precompiled_charsmap")),
        unknown=_number(header, "unknown_token_id"),
        adds_space=_flag(header, "add_space_prefix", None),
        removes_spaces=bool(_flag(header, "remove_extra_whitespaces", False)),
        lowercase=bool(lowercase),
        strips_accents=bool(_flag(header, "normalizer.strip_accents", lowercase)),
    )


def _text(header: Header, key: str) -> str:
    value = header.metadata.get(PREFIX + key, "")
    return value if isinstance(value, str) else ""


def _number(header: Header, key: str) -> int | None:
    value = header.metadata.get(PREFIX + key)
    return value if isinstance(value, int) else None


def _flag(header: Header, key: str, default: bool | None) -> bool | None:
    value = header.metadata.get(PREFIX + key)
    return value if isinstance(value, bool) else default


def _array(header: Header, key: str) -> list[Any]:
    return header.array(PREFIX + key) if isinstance(header.metadata.get(PREFIX + key), Array) else []


def _as_long(header: Header, key: str, length: int) -> list[Any]:
    array = _array(header, key)
    if array and len(array) < length:
        raise GgufError(f"{header.path}: {len(array):,} values of {PREFIX}{key} for {length:,} tokens")
    return array
