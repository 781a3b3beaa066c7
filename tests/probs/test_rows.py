"""Rows of logits read together, against each row's own distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.errors import EngineError
from llmcli.probs import rows as module
from llmcli.probs.distribution import Distribution, top_ids
from llmcli.probs.rows import RowReader
from tests.probs.test_distribution import Letters

LOGIT = st.integers(-60, 60) | st.just(-np.inf)
"""Few different ones, so that many are equal; and what is impossible."""


@given(st.data(), st.integers(1, 40), st.integers(1, 9), st.integers(1, 50), st.integers(1, 3))
def test_each_row_is_its_distribution(
    data: st.DataObject, n_vocab: int, n_rows: int, k: int, n_threads: int
) -> None:
    """However many rows, alternatives and threads there are."""
    row = st.lists(LOGIT, min_size=n_vocab, max_size=n_vocab).filter(lambda values: max(values) > -np.inf)
    rows = np.array(data.draw(st.lists(row, min_size=n_rows, max_size=n_rows)), np.float32)
    ids = data.draw(st.lists(st.integers(0, n_vocab - 1), min_size=n_rows, max_size=n_rows))
    with RowReader(n_vocab, k, n_threads) as reader:
        found = reader.read(rows, ids)
    for i, (logits, token_id) in enumerate(zip(rows, ids, strict=True)):
        distribution, vocabulary = Distribution.of(logits), Letters()
        candidate, top = distribution.candidate(token_id, vocabulary), distribution.top(k, vocabulary)
        assert found.logprobs[i] == pytest.approx(candidate.logprob)
        assert found.ranks[i] == candidate.rank
        assert found.entropies[i] == pytest.approx(distribution.entropy_bits, abs=1e-9)
        assert found.top[i].tolist() == [c.id for c in top]
        assert found.top_logprobs[i] == pytest.approx([c.logprob for c in top])
        assert found.top_probs[i] == pytest.approx([c.prob for c in top])


def test_large_rows_are_read_in_blocks() -> None:
    """More than is read at once, of a vocabulary in which not every token is sorted."""
    rows = np.random.default_rng(1).standard_normal((50, 30_000)).astype(np.float32)
    assert rows.size > module.AT_ONCE
    with RowReader(30_000, 12, 2) as reader:
        found = reader.read(rows, list(range(50)))
    assert found.top.tolist() == [np.argsort(-row, kind="stable")[:12].tolist() for row in rows]
    assert found.ranks.tolist() == [1 + int(np.sum(row > row[i])) for i, row in enumerate(rows)]
    wide = rows.astype(np.float64)
    assert found.logprobs == pytest.approx(
        wide[np.arange(50), np.arange(50)] - np.log(np.exp(wide).sum(axis=1))
    )
    assert top_ids(rows[0], 40_000).tolist() == np.argsort(-rows[0], kind="stable").tolist()


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_no_numbers(broken: float) -> None:
    """One row that is spoilt is an error, whichever it is."""
    rows = np.zeros((4, 5), np.float32)
    rows[2, 3] = broken
    with RowReader(5, 2, 2) as reader, pytest.raises(EngineError, match="computed"):
        reader.read(rows, [0, 1, 2, 3])
