"""Text to ids in bulk: all processors, the fastest way that is proven, and always llama.cpp's own ids.

Three ways lead from a batch of texts to its ids, and which one is taken never shows in them: gigatoken for
what it is proven to know (`fast.py`), llama.cpp on parts cut where no token is cut (`cuts.py`), and llama.cpp
on the text as it is.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from llmcli.tokens.batch import Batch, BatchCount, BatchIds
from llmcli.tokens.cuts import Cuts
from llmcli.tokens.memory import FOR_STREAMS
from llmcli.tokens.pool import in_order
from llmcli.tokens.tokenizer import Tokenizer
from llmcli.tokens.ways import GgufTokenizer, Ways, ways_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from llmcli.tokens.batch import Ends, Ids
    from llmcli.tokens.building import Ahead
    from llmcli.tokens.fast import FastTokenizer
    from llmcli.tokens.helpers import Answer, Helpers, Work

PART = 1 << 15
"""Bytes that llama.cpp gets at once: its cost a byte grows with the length."""
SMALL_PART = 1 << 11
"""Bytes that are left to llama.cpp around something that the fast way does not know."""
SHORT = 1 << 11
"""Bytes of texts that are tokenized sooner than NumPy is imported."""
WORTH_FINDING = 1 << 18
"""Bytes of input from which it pays to find out where a vocabulary's texts can be cut."""


class BulkEncoder:
    """Batches of texts to their ids; `encode` may be called from several threads.

    `encode_short` gives a text's own ids, and so does `encode_array`, where there is a quicker one for long
    texts. `find_ways` is called when there is enough to do for it to pay. `lead` and `tail` are what stands
    before and after each record's own ids.
    """

    def __init__(
        self,
        encode_short: Callable[[bytes], list[int]],
        find_ways: Callable[[], Ways],
        lead: Sequence[int] = (),
        tail: Sequence[int] = (),
        encode_array: Callable[[bytes], NDArray[np.uint32]] | None = None,
    ) -> None:
        self._encode_short, self._find_ways = encode_short, find_ways
        self._encode_one = encode_array or self._as_array
        self._lead, self._tail = list(lead), list(tail)
        self._found: Ways | None = None
        self._fast: FastTokenizer | None = None
        self._helpers: Helpers[Any] | None = None
        self._n_expected = self._n_seen = 0
        self._has_chosen = False
        self._finding = threading.Lock()

    def run(
        self, batches: Iterable[Batch | None], workers: int, memory: int = FOR_STREAMS
    ) -> Iterator[BatchIds]:
        """The ids of each batch, in order, on `workers` processors; errors come in their place.

        `memory` is how many resident bytes this process and its helpers may have together.
        """
        for batch, (ids, ends) in self._answers(self._ids_and_ends, batches, workers, memory):
            yield BatchIds(batch, ids, ends)

    def count(self, batches: Iterable[Batch | None], workers: int, memory: int) -> Iterator[BatchCount]:
        """How many ids each batch has: as `run`, but no ids travel from one process to another."""
        for batch, n_ids in self._answers(self._n_ids, batches, workers, memory):
            yield BatchCount(batch, n_ids)

    def expect(self, n_bytes: int) -> None:
        """Say that `n_bytes` will come: the fast way is built at once where that pays."""
        self._n_expected += n_bytes

    def cuts(self) -> Cuts | None:
        """Where a text can be cut; None where no place is known to be safe."""
        return self._ways().cuts

    def encode(self, batch: Batch) -> BatchIds:
        """The ids of a batch, with what belongs before and after each record."""
        return BatchIds(batch, *self._ids_and_ends(batch))

    def _answers(
        self, work: Work[Answer], batches: Iterable[Batch | None], workers: int, memory: int
    ) -> Iterator[tuple[Batch, Answer]]:
        """Each batch with what `work` makes of it, here or in the helpers, where there are any."""

        def answered(batch: Batch) -> tuple[Batch, Answer]:
            answer = self._helpers.ask(batch) if self._helpers else None
            return batch, work(batch) if answer is None else answer

        def choose() -> None:
            self._choose(work, workers, memory)

        try:
            yield from in_order(answered, self._counted(batches, choose), workers)
        finally:
            if self._helpers:
                self._helpers.close()
                self._helpers = None

    def _n_ids(self, batch: Batch) -> int:
        return len(self._ids_and_ends(batch)[0])

    def _ids_and_ends(self, batch: Batch) -> tuple[Ids, Ends]:
        """The ids of all texts of a batch, and where those of each end."""
        fast = self._fast
        if fast is None and batch.is_whole and len(batch.data) <= SHORT:
            short = [[*self._lead, *self._encode_short(text), *self._tail] for text in batch.texts()]
            return array("I", chain(*short)), array("q", accumulate(map(len, short)))
        import numpy as np

        if batch.separator is None:
            ids = self._encode_text(batch.data, rest=not batch.begins)
            ends = np.array([len(ids)], np.int64)
        elif fast and fast.knows(_as_lines(batch.data, batch.separator)):
            if len(self._lead) == 1 and not self._tail:
                return fast.encode_separated(batch.data, batch.separator, self._lead[0])
            ids, ends = fast.encode_separated(batch.data, batch.separator)
        else:
            found = [self._encode_text(text) for text in batch.texts()]
            ids, ends = np.concatenate(found), np.cumsum([len(own) for own in found])
        return self._framed(batch, ids, ends)

    def _ways(self) -> Ways:
        with self._finding:
            if self._found is None:
                self._found = self._find_ways()
            return self._found

    def _counted(self, batches: Iterable[Batch | None], choose: Callable[[], None]) -> Iterator[Batch | None]:
        """The batches; before the one from which the fast way pays, what is under way comes to its end."""
        for batch in batches:
            if batch is not None and not self._has_chosen:
                self._n_seen += len(batch.data)
                n_bytes = max(self._n_seen, self._n_expected)
                if n_bytes > WORTH_FINDING and n_bytes >= self._ways().worth_building:
                    yield None
                    choose()
            yield batch

    def _choose(self, work: Work[Answer], workers: int, memory: int) -> None:
        """Build the fast way, here or in helpers that do this `work`. It is tried once."""
        from llmcli.tokens.helpers import Helpers, can_fork

        self._has_chosen = True
        if self._ways().in_helpers and can_fork():
            with suppress(OSError):  # there may be no further process or pipe
                self._helpers = Helpers(partial(self._in_helper, work), workers, memory)
        if self._helpers is None:
            self._fast = self._ways().build_fast()

    def _in_helper(self, work: Work[Answer]) -> Work[Answer] | None:
        """What a helper does, once the fast way is built."""
        self._fast = self._ways().build_fast()
        if self._fast is None:
            return None
        self._fast.keep_words()
        return work

    def _as_array(self, text: bytes) -> NDArray[np.uint32]:
        import numpy as np

        return np.array(self._encode_short(text), np.uint32)

    def _encode_text(self, text: bytes, *, rest: bool = False) -> NDArray[np.uint32]:
        """The ids of one text; of one that is the `rest` of its record, behind a cut."""
        import numpy as np

        fast = self._fast
        if fast and fast.knows(text):
            return self._encode_part(fast.encode, text, rest=rest)
        size = SMALL_PART if fast else PART
        if not rest and len(text) <= (size if self._found else WORTH_FINDING):
            return self._encode_one(text)
        cuts = self.cuts()
        if cuts is None:
            return self._encode_one(text)
        found = []
        for part in cuts.parts(text, size):
            encode = fast.encode if fast and fast.knows(part) else self._encode_one
            found.append(self._encode_part(encode, part, rest=rest))
            rest = True
        return np.concatenate(found)

    def _encode_part(
        self, encode: Callable[[bytes], NDArray[np.uint32]], part: bytes, *, rest: bool
    ) -> NDArray[np.uint32]:
        """The ids of a text, or of the `rest` of one, behind a cut."""
        cuts = self.cuts() if rest else None
        return cuts.encode_rest(encode, part) if cuts else encode(part)

    def _framed(
        self, batch: Batch, ids: NDArray[np.uint32], ends: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids with `lead` and `tail` around those of each record."""
        import numpy as np

        lead = self._lead if batch.begins else []
        tail = self._tail if batch.ends else []
        if not lead and not tail:
            return ids, ends
        starts = np.concatenate([[0], ends[:-1]])
        places = np.repeat(np.stack([starts, ends], 1).ravel(), [len(lead), len(tail)] * len(ends))
        more = np.array((lead + tail) * len(ends), np.uint32)
        return np.insert(ids, places, more), ends + (len(lead) + len(tail)) * np.arange(1, len(ends) + 1)


def _as_lines(data: bytes, separator: bytes) -> bytes:
    return data if separator == b"\n" else data.replace(separator, b"\n")


def bulk_encoder(
    tokenizer: Tokenizer, *, parse_special: bool, bos: bool | None, eos: bool | None
) -> BulkEncoder:
    """The encoder for any tokenizer: its own `encode`, on several threads."""
    encode = partial(tokenizer.encode, parse_special=parse_special, bos=False, eos=False)
    return BulkEncoder(encode, Ways, *_frame(tokenizer, bos, eos))


def gguf_bulk_encoder(
    tokenizer: GgufTokenizer,
    *,
    parse_special: bool,
    bos: bool | None,
    eos: bool | None,
    cache: Path | None = None,
    ahead: Ahead | None = None,
) -> BulkEncoder:
    """The encoder for a GGUF file's vocabulary, which takes every way that is proven for it.

    `cache` is a folder for what takes long to make; `ahead` may have made it already.
    """

    return BulkEncoder(
        partial(tokenizer.encode, parse_special=parse_special, bos=False, eos=False),
        lambda: ways_of(tokenizer, parse_special=parse_special, cache=cache, ahead=ahead),
        *_frame(tokenizer, bos, eos),
        encode_array=partial(tokenizer.encode_array, parse_special=parse_special),
    )


def _frame(tokenizer: Tokenizer, bos: bool | None, eos: bool | None) -> tuple[list[int], list[int]]:
    return tokenizer.encode(b"", bos=bos, eos=False), tokenizer.encode(b"", bos=False, eos=eos)
