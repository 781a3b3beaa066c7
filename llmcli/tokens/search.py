"""Looking something up in a vocabulary: by id, by exact piece, by a part of it, or by kind."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from llmcli.errors import UsageError
from llmcli.tokens.tokenizer import Tokenizer

PATIENCE = 0.4
"""Seconds that an expression may take on one token."""

_CALLED_UNUSED = re.compile(r"\W*(unused|reserved_special_token)[\W_]*\d+\W*", re.IGNORECASE)


class Catalogue(Tokenizer, Protocol):
    """A tokenizer whose vocabulary can be listed."""

    def kind_of(self, token_id: int) -> str:
        """What sort of token it is: normal, control, user-defined, unknown, unused or byte."""
        ...

    def score_of(self, token_id: int) -> float | None:
        """The token's score; None in a vocabulary that has none."""
        ...

    def spelling(self, token_id: int) -> str:
        """The token as the vocabulary writes it."""
        ...


@dataclass(frozen=True)
class Entry:
    """A token of a vocabulary. `piece` is its bytes, `spelling` how the vocabulary writes it."""

    id: int
    piece: bytes
    spelling: str
    kind: str
    score: float | None


def search(
    tokenizer: Catalogue, query: str | None = None, grep: str | None = None, kinds: Collection[str] = ()
) -> Iterator[Entry]:
    """The entries that match everything that is asked for, by id.

    `query` is an id or an exact piece, in bytes as the text has them or in the vocabulary's own spelling.
    `grep` is a regular expression found somewhere in the piece. `kinds` are special, byte and unused: one
    of them is enough. Raises UsageError for an expression that is none, or that takes too long.
    """
    pattern = None if grep is None else _compiled(grep)
    wanted = None if query is None else query.encode("utf-8", "surrogateescape")
    marks_bytes = "byte" in kinds and any(tokenizer.kind_of(i) == "byte" for i in range(tokenizer.n_tokens))
    for token_id in range(tokenizer.n_tokens):
        piece = tokenizer.piece(token_id)
        named = wanted is None or piece == wanted or query in (str(token_id), tokenizer.spelling(token_id))
        if not named:
            continue
        if pattern is not None and not _found(pattern, piece, token_id):
            continue
        kind = tokenizer.kind_of(token_id)
        if kinds and not any(_is(wish, kind, piece, marks_bytes) for wish in kinds):
            continue
        yield Entry(token_id, piece, tokenizer.spelling(token_id), kind, tokenizer.score_of(token_id))


def _is(wish: str, kind: str, piece: bytes, marks_bytes: bool) -> bool:
    """Whether a token is what is wished for: special, byte or unused.

    A vocabulary that marks no token as a byte (byte-level BPE) has one for each nevertheless.
    """
    if wish == "special":
        return kind in ("control", "unknown", "user-defined")
    if wish == "byte":
        return kind == "byte" if marks_bytes else kind == "normal" and len(piece) == 1
    return kind == "unused" or _CALLED_UNUSED.fullmatch(piece.decode("utf-8", "replace")) is not None


def _compiled(grep: str) -> Any:
    # Python's own re can't be stopped in the middle of an expression that never ends.
    import regex

    try:
        return regex.compile(grep)
    except regex.error as error:
        raise UsageError(
            f"--grep {grep}: not a regular expression: {error}", hint="--grep '^ the$', '[0-9]{2}', '(?i)cat'"
        ) from None


def _found(pattern: Any, piece: bytes, token_id: int) -> bool:
    try:
        return pattern.search(piece.decode("utf-8", "replace"), timeout=PATIENCE) is not None
    except TimeoutError:
        raise UsageError(
            f"--grep {pattern.pattern}: takes too long on token {token_id}",
            hint="an expression with a repetition inside a repetition may never end",
        ) from None
