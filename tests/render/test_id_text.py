"""Ids as text: one by one or from the table, what is written is the same."""

from __future__ import annotations

from array import array
from itertools import accumulate, chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmcli.render.id_table import IdTable
from llmcli.render.id_text import FEW, SPELLINGS, IdText
from llmcli.tokens.batch import Batch, BatchIds

N_TOKENS = 3000


def batch_of(records: list[list[int]]) -> BatchIds:
    """The ids of as many texts, which are empty themselves."""
    batch = Batch(b"\n" * (len(records) - 1), b"\n")
    return BatchIds(batch, array("I", chain(*records)), array("q", accumulate(map(len, records))))


@pytest.mark.parametrize("name", SPELLINGS)
@given(records=st.lists(st.lists(st.integers(0, N_TOKENS - 1), max_size=5), min_size=1, max_size=5))
@example(records=[[]])
@example(records=[[0, N_TOKENS - 1], [], [7]])
def test_few_ids_are_written_as_many_are(name: str, records: list[list[int]]) -> None:
    """Whether a table is worth making does not show."""
    found = batch_of(records)
    spelled = IdText(N_TOKENS).spell(found, SPELLINGS[name])
    assert spelled == IdTable(N_TOKENS).spell(found, SPELLINGS[name])


def test_the_formats() -> None:
    """What a user sees, of few ids and of more than are written one by one."""
    text = IdText(N_TOKENS)
    for n in (1, FEW):
        found = batch_of([[12, 0], [], [5]] * n)
        assert text.spell(found, SPELLINGS["ids"]) == b"12 0\n\n5\n" * n
        assert text.spell(found, SPELLINGS["list"]) == b"[12, 0]\n[]\n[5]\n" * n
        assert text.spell(found, SPELLINGS["lines"]) == b"12\n0\n5\n" * n
