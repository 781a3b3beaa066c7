"""What rows of logits say of the tokens that came after them: logprob, rank, entropy, the most probable.

A text has as many rows as tokens, so this is where scoring spends its time beside the model. Many rows are
read at once; what takes several passes is done on few enough to stay in the processor's cache, in arrays that
are kept, because to make new ones takes longer than the maths.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from llmcli.probs.distribution import LN2, check_logits, top_ids_of

IN_CACHE, AT_ONCE = 1 << 15, 1 << 20
"""Logits of as many rows, and at least one: what several passes run over, and what is read at once."""


@dataclass(frozen=True)
class Readings:
    """What n rows say: arrays with an entry a row, and those of `top` with k, the most probable first.

    Logprobs are natural, entropies in bits; a rank of 1 is the most probable token.
    """

    logprobs: NDArray[np.float64]
    ranks: NDArray[np.int64]
    entropies: NDArray[np.float64]
    top: NDArray[np.int64]
    top_logprobs: NDArray[np.float64]
    top_probs: NDArray[np.float64]


class RowReader:
    """Reads rows of logits, shape (n, n_vocab), of which the `k` most probable tokens are wanted.

    A context manager: it has `n_threads` threads, which NumPy lets work at the same time.
    """

    def __init__(self, n_vocab: int, k: int, n_threads: int = 1) -> None:
        self._readers = [_Reader(n_vocab, k) for _ in range(n_threads)]
        self._pool = ThreadPoolExecutor(n_threads)

    def read(self, rows: NDArray[np.float32], ids: Sequence[int]) -> Readings:
        """What each row says of the id that came after it. Raises EngineError as `check_logits`."""
        came, share = np.array(ids, np.int64), -(-len(rows) // len(self._readers))
        begins = range(0, len(rows), share)
        shares = ((rows[i : i + share], came[i : i + share]) for i in begins)
        return _joined(list(self._pool.map(lambda reader, part: reader.read(*part), self._readers, shares)))

    def __enter__(self) -> RowReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()


class _Reader:
    """What one thread needs."""

    def __init__(self, n_vocab: int, k: int) -> None:
        self._k = min(k, n_vocab)
        self._n_rows = max(1, AT_ONCE // n_vocab)
        shape = (max(1, IN_CACHE // n_vocab), n_vocab)
        self._shifted, self._powers = np.empty(shape), np.empty(shape)

    def read(self, rows: NDArray[np.float32], ids: NDArray[np.int64]) -> Readings:
        n = self._n_rows
        return _joined([self._read(rows[i : i + n], ids[i : i + n]) for i in range(0, len(rows), n)])

    def _read(self, rows: NDArray[np.float32], ids: NDArray[np.int64]) -> Readings:
        largest = rows.max(axis=1).astype(np.float64)
        if not np.isfinite(largest).all():
            check_logits(rows)
        totals, weighted = self._sums(rows, largest)
        normalizers = largest + np.log(totals)
        at, top = np.arange(len(rows)), top_ids_of(rows, self._k)
        logits = rows[at, ids]
        top_logprobs = rows[at[:, np.newaxis], top] - normalizers[:, np.newaxis]
        return Readings(
            logprobs=logits - normalizers,
            ranks=_ranks(rows, ids, logits),
            entropies=(np.log(totals) - weighted / totals) / LN2 + 0.0,
            top=top,
            top_logprobs=top_logprobs,
            top_probs=np.exp(top_logprobs),
        )

    def _sums(
        self, rows: NDArray[np.float32], largest: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each row, with x = logit - the largest: the sums of exp(x) and of x * exp(x)."""
        totals, weighted = np.empty(len(rows)), np.empty(len(rows))
        n = len(self._shifted)
        for i in range(0, len(rows), n):
            block, of_block = rows[i : i + n], slice(i, i + n)
            shifted, powers = self._shifted[: len(block)], self._powers[: len(block)]
            np.copyto(shifted, block)
            shifted -= largest[of_block, np.newaxis]
            np.exp(shifted, out=powers)
            powers.sum(axis=1, out=totals[of_block])
            # No product of vectors: its threads wait for one another where the processors have other work.
            with np.errstate(invalid="ignore"):  # 0 times the -inf of what is impossible
                shifted *= powers
            shifted.sum(axis=1, out=weighted[of_block])
            if np.isnan(weighted[of_block]).any():
                np.nansum(shifted, axis=1, out=weighted[of_block])
        return totals, weighted


def _joined(parts: Sequence[Readings]) -> Readings:
    """Readings one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*([getattr(part, field.name) for field in fields(part)] for part in parts), strict=True)
    return Readings(*map(np.concatenate, columns))


def _ranks(
    rows: NDArray[np.float32], ids: NDArray[np.int64], logits: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The rank of each id, with that logit, in its row; of equals the lower id comes first."""
    bounds = logits[:, np.newaxis]
    ranks = np.array([np.count_nonzero(row) for row in rows > bounds], np.int64) + 1
    n_as_large = np.array([np.count_nonzero(row) for row in rows >= bounds], np.int64)
    for i in np.flatnonzero(n_as_large > ranks):
        ranks[i] += np.count_nonzero(rows[i, : ids[i]] == logits[i])
    return ranks
