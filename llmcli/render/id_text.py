"""Ids as text, a batch at once: a few one by one, many from a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from operator import sub
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcli.render.id_table import IdTable
    from llmcli.tokens.batch import BatchIds
    from llmcli.tokens.tokenizer import Tokenizer

FEW = 1000
"""Ids and records that are written in less time than the table takes to make."""


@dataclass(frozen=True)
class Spelling:
    """What stands before the first id of a record, between two, and after the last."""

    opening: bytes
    between: bytes
    closing: bytes
    shows_empty: bool = True


SPELLINGS = {
    "ids": Spelling(b"", b" ", b"\n"),
    "list": Spelling(b"[", b", ", b"]\n"),
    "lines": Spelling(b"", b"\n", b"\n", shows_empty=False),
}


class IdText:
    """Spells the ids of a vocabulary of `n_tokens`."""

    def __init__(self, n_tokens: int) -> None:
        self._n_tokens = n_tokens

    def spell(self, found: BatchIds, spelling: Spelling) -> bytes:
        """The text of all records of a batch; of one that goes on in the next batch, as far as it goes."""
        if found.batch.is_whole and len(found.ids) + len(found.ends) <= FEW:
            return _one_by_one(found, spelling)
        return self._table.spell(found, spelling)

    @cached_property
    def _table(self) -> IdTable:
        from llmcli.render.id_table import IdTable

        return IdTable(self._n_tokens)


def text_of_ids(name: str, tokenizer: Tokenizer) -> Callable[[BatchIds], bytes]:
    """The function that spells a batch in the format `name`: ids, list, lines, jsonl or pieces."""
    if name == "pieces":
        from llmcli.render.tokens import visible_piece

        return lambda found: "".join(f"{visible_piece(tokenizer.piece(i))}\n" for i in found.ids).encode()
    text = IdText(tokenizer.n_tokens)
    if name == "jsonl":
        return lambda found: _as_jsonl(found, text)
    return lambda found: text.spell(found, SPELLINGS[name])


def _one_by_one(found: BatchIds, spelling: Spelling) -> bytes:
    return b"".join(
        b"%b%b%b" % (spelling.opening, spelling.between.join(b"%d" % i for i in ids), spelling.closing)
        for _seq, _text, ids in found.records()
        if len(ids) or spelling.shows_empty
    )


def _as_jsonl(found: BatchIds, text: IdText) -> bytes:
    lists = text.spell(found, SPELLINGS["list"]).split(b"\n")
    ends: list[int] = found.ends.tolist()
    sizes = map(sub, ends, [0, *ends])
    return b"".join(
        b'{"seq": %d, "n_tokens": %d, "ids": %s}\n' % (found.batch.seq + at, size, ids)
        for at, (size, ids) in enumerate(zip(sizes, lists[:-1], strict=True))
    )
