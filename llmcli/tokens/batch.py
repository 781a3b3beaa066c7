"""What travels through the bulk road: many texts at once, and their ids or how many there are.

Python spends about a microsecond on every object it touches, llama.cpp's fastest peers spend less on a whole
line. So texts travel as one block of bytes with separators between them, ids as one array.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from numpy.typing import NDArray

    Ids = NDArray[np.uint32] | array[int]
    """Numbers of 32 bits: where there are few, an array of Python's own, as NumPy takes long to import."""
    Ends = NDArray[np.int64] | array[int]
    """Where the ids of each text end; of 64 bits."""


@dataclass(frozen=True)
class Batch:
    """Texts that follow each other: `data` split at `separator`, or `data` whole where that is None.

    >>> list(Batch(b"one\\n\\nthree", b"\\n").texts())
    [b'one', b'', b'three']

    A long text comes in several batches: `begins` says whether the first text begins here, `ends` whether
    the last one ends here. `seq` is the number of the first text among all, from 0.
    """

    data: bytes
    separator: bytes | None = None
    begins: bool = True
    ends: bool = True
    seq: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether no text of it begins before or goes on behind it."""
        return self.begins and self.ends

    @property
    def n_texts(self) -> int:
        """How many texts there are."""
        return 1 if self.separator is None else self.data.count(self.separator) + 1

    def texts(self) -> list[bytes]:
        """The texts one by one."""
        return [self.data] if self.separator is None else self.data.split(self.separator)


@dataclass(frozen=True)
class BatchIds:
    """The ids of a batch: those of all texts in one array, and for each text where its ids end."""

    batch: Batch
    ids: Ids
    ends: Ends

    def records(self) -> Iterator[tuple[int, bytes, Ids]]:
        """Number, bytes and ids of each text."""
        start = 0
        for at, (text, end) in enumerate(zip(self.batch.texts(), self.ends.tolist(), strict=True)):
            yield self.batch.seq + at, text, self.ids[start:end]
            start = end


@dataclass(frozen=True)
class BatchCount:
    """How many ids a batch has, all its texts together."""

    batch: Batch
    n_ids: int


def merged(found: Iterable[BatchIds]) -> Iterator[BatchIds]:
    """The same, with every record in one batch."""
    parts: list[BatchIds] = []
    for part in found:
        parts.append(part)
        if not part.batch.ends:
            continue
        if len(parts) == 1:
            yield part
        else:
            import numpy as np

            ids = np.concatenate([part.ids for part in parts])
            data = b"".join(part.batch.data for part in parts)
            batch = replace(parts[0].batch, data=data, ends=True)
            yield BatchIds(batch, ids, np.array([len(ids)], np.int64))
        parts = []


def whole_records(found: Iterable[BatchIds]) -> Iterator[tuple[int, bytes, Ids]]:
    """Number, bytes and ids of each record, also where one came in several batches."""
    for part in merged(found):
        yield from part.records()
