"""What rows of logits say of the tokens that came after them: logprob, rank, entropy, the most probable.

A text has as many rows as tokens, so this is where scoring spends its time beside the model: many rows of a
small vocabulary are read at once, and a large one in arrays that are kept, because to make new ones takes
longer than the maths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from llmcli.probs.distribution import LN2, check_logits, top_ids_of

AT_ONCE = 1 << 15
"""Logits that are read at once, where a row has fewer: so few stay in the processor's cache."""


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
    """Reads rows of logits, shape (n, n_vocab), of which the `k` most probable tokens are wanted."""

    def __init__(self, n_vocab: int, k: int) -> None:
        self._k = min(k, n_vocab)
        self._n_rows = max(1, AT_ONCE // n_vocab)
        self._shifted = np.empty((self._n_rows, n_vocab))
        self._powers = np.empty((self._n_rows, n_vocab))

    def read(self, rows: NDArray[np.float32], ids: Sequence[int]) -> Readings:
        """What each row says of the id that came after it. Raises EngineError as `check_logits`."""
        n, came = self._n_rows, np.array(ids, np.int64)
        return joined([self._read(rows[i : i + n], came[i : i + n]) for i in range(0, len(rows), n)])

    def _read(self, rows: NDArray[np.float32], ids: NDArray[np.int64]) -> Readings:
        largest = rows.max(axis=1)
        if not np.isfinite(largest).all():
            check_logits(rows)
        shifted, powers = self._shifted[: len(rows)], self._powers[: len(rows)]
        np.copyto(shifted, rows)
        shifted -= largest[:, np.newaxis].astype(np.float64)
        np.exp(shifted, out=powers)
        totals = powers.sum(axis=1)
        normalizers = np.log(totals)
        top = top_ids_of(rows, self._k)
        at = np.arange(len(rows))
        logprobs = shifted[at, ids] - normalizers
        top_logprobs = np.take_along_axis(shifted, top, axis=1) - normalizers[:, np.newaxis]
        return Readings(
            logprobs=logprobs,
            ranks=_ranks(rows, ids),
            # Last, because it leaves nothing of `shifted`.
            entropies=(normalizers - _weighted_sums(powers, shifted) / totals) / LN2 + 0.0,
            top=top,
            top_logprobs=top_logprobs,
            top_probs=np.take_along_axis(powers, top, axis=1) / totals[:, np.newaxis],
        )


def joined(parts: Sequence[Readings]) -> Readings:
    """Readings one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*([getattr(part, field.name) for field in fields(part)] for part in parts), strict=True)
    return Readings(*map(np.concatenate, columns))


def _ranks(rows: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rank of each id in its row; of equals the lower id comes first."""
    logits = rows[np.arange(len(rows)), ids][:, np.newaxis]
    n_larger = [np.count_nonzero(row) for row in rows > logits]
    n_as_large = [np.count_nonzero(row) for row in rows >= logits]
    return np.array(
        [
            larger + 1 + (0 if as_large == larger + 1 else np.count_nonzero(row[:token_id] == logit))
            for row, token_id, logit, larger, as_large in zip(
                rows, ids, logits, n_larger, n_as_large, strict=True
            )
        ],
        np.int64,
    )


def _weighted_sums(powers: NDArray[np.float64], shifted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of powers * shifted of each row, written over `shifted`.

    No product of vectors: its threads wait for one another where the processors have other work to do.
    """
    with np.errstate(invalid="ignore"):  # 0 times the -inf of what is impossible
        sums: NDArray[np.float64] = np.multiply(powers, shifted, out=shifted).sum(axis=1)
    if np.isnan(sums).any():
        sums = np.nansum(shifted, axis=1)
    return sums
