"""gigatoken itself: built from a tokenizer.json, with bounds on what it remembers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from llmcli.tokens.memory import give_back, resident

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEMORY = 216 << 20
"""Resident bytes of the process at which gigatoken's memory of words is thrown away."""
LEAST_MEMORY = 16 << 20
"""What it may remember in any case, however large the rest of the process is."""
BLIND = 32 << 20
"""Bytes of text after which it is thrown away where the system does not tell how much memory there is."""


class Backend:
    """Bytes to ids, as the definition says, whatever the bytes. Thread-safe."""

    def __init__(self, definition: bytes) -> None:
        """`definition` is a tokenizer.json. To build it takes half a second, most of it without the GIL.

        Raises ImportError where gigatoken is missing, ValueError, RuntimeError or OverflowError where it
        can't read the definition.
        """
        import numpy as np  # noqa: F401 - else each copy of this process would import it by itself
        from gigatoken.gigatoken_rs import PadTruncate

        self._definition, self._as_is = definition, PadTruncate(0)
        # One thread at a time works with gigatoken's BPE anyway.
        self._in_use = threading.Lock()
        self._built: Any = None
        self._at_first: int | None = None
        self._n_bytes = 0
        self._begin()

    @property
    def n_tokens(self) -> int:
        """The size of the vocabulary that the definition has, added tokens and all."""
        return int(self._built.vocab_size)

    def keep_words(self) -> None:
        """Never start anew: whoever calls this bounds its memory in another way."""
        self._definition = b""

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """The ids of a text."""
        if not self._remembers:
            # The way that lets go of the GIL and needs no awkward arrays.
            found = self._built.encode_batch_padded([text], self._as_is, parallel=False)
            ids: NDArray[np.uint32] = found[0][0]
            return ids
        with self._in_use:
            if self._definition and self._remembers_much():
                self._begin()
            ids = self._built.encode(text)
            self._n_bytes += len(text)
            self._at_first = self._at_first or resident()
            return ids

    def _begin(self) -> None:
        """Make a tokenizer that remembers nothing."""
        from gigatoken.gigatoken_rs import BPETokenizer, load_hf_json

        self._built = None
        give_back()
        self._built = load_hf_json(self._definition)
        self._remembers = isinstance(self._built, BPETokenizer)
        give_back()
        self._at_first, self._n_bytes = None, 0

    def _remembers_much(self) -> bool:
        """Whether it should start anew: gigatoken's BPE keeps every word that it has seen.

        Its tables double, so there must be room for as much again as they have grown.
        """
        now = resident()
        if now is None:
            return self._n_bytes > BLIND
        grown = now - (self._at_first or now)
        return grown > LEAST_MEMORY and now + grown > MEMORY
