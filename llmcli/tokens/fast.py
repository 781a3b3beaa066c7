"""Tokenizing at hundreds of megabytes a second: gigatoken, built from the GGUF's own vocabulary.

It is an optional dependency, and it is used only where its ids are proven to be llama.cpp's: for vocabularies
that can be told to it (`definition.py`), and texts that are UTF-8, hold no special token, and, where the
pattern asks for letters and digits, no character that the two programs' Unicode tables class differently. For
anything else `knows` says no, and llama.cpp itself does the work.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from llmcli.gguf.header import Header
from llmcli.tokens.definition import SEPARATOR, is_byte_level
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

# The two programs were held against each other for every code point: gigatoken knows 9,039 letters and digits
# that came with Unicode 16 and 17, which to llama.cpp are nothing yet. In the astral planes only those blocks
# count as known in which such can't be: mathematical letters, symbols and emoji, and a Chinese extension.
_NEW_CHARACTERS = (*map(str.encode, "\u088f\u0c5c\u0cdc"), b"\xe1\xb2", b"\xea\x9f")
_ASTRAL = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))
_UNKNOWN_ASTRAL = re.compile(rb"\xf0[^\x9d\x9f\xa0-\xa9]|[\xf1-\xf4]")

_FEW = 8
_SEPARATOR = SEPARATOR.encode()


class FastTokenizer:
    """Bytes to ids, for texts that it `knows`. Thread-safe; no BOS, no EOS, no special tokens."""

    def __init__(self, definition: bytes, specials: Iterable[bytes], *, classes: bool) -> None:
        """`definition` is a tokenizer.json; with `classes` the ids depend on what is a letter or a digit.

        Raises ImportError where gigatoken is missing, ValueError, RuntimeError or OverflowError where it
        can't read the definition.
        """
        from gigatoken.gigatoken_rs import PadTruncate

        self._definition, self._as_is = definition, PadTruncate(0)
        self._special, self._classes = _finder([*specials, _SEPARATOR]), classes
        # One thread at a time works with gigatoken's BPE anyway.
        self._in_use = threading.Lock()
        self._backend: Any = None
        self._at_first: int | None = None
        self._n_bytes = 0
        self._begin()

    def keep_words(self) -> None:
        """Never start anew: whoever calls this bounds its memory in another way."""
        self._definition = b""

    def knows(self, text: bytes) -> bool:
        """Whether its ids for `text` are certain to be llama.cpp's."""
        if not text.isascii() and (not _is_utf8(text) or (self._classes and _has_unknown(text))):
            return False
        return not self._special(text)

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """The ids of a text."""
        if not self._remembers:
            # The way that lets go of the GIL and needs no awkward arrays.
            found = self._backend.encode_batch_padded([text], self._as_is, parallel=False)
            ids: NDArray[np.uint32] = found[0][0]
            return ids
        with self._in_use:
            if self._definition and self._remembers_much():
                self._begin()
            ids = self._backend.encode(text)
            self._n_bytes += len(text)
            self._at_first = self._at_first or resident()
            return ids

    def encode_separated(self, data: bytes, separator: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of all texts in `data`, and where those of each end. Empty texts have none."""
        import numpy as np

        ids = self.encode(data.replace(separator, _SEPARATOR))
        between = ids == self._backend.vocab_size - 1
        borders = np.flatnonzero(between)
        ends = np.append(borders - np.arange(len(borders)), len(ids) - len(borders))
        return ids[~between], ends

    def _begin(self) -> None:
        """Make a tokenizer that remembers nothing."""
        from gigatoken.gigatoken_rs import BPETokenizer, load_hf_json

        self._backend = None
        give_back()
        self._backend = load_hf_json(self._definition)
        self._remembers = isinstance(self._backend, BPETokenizer)
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


def may_remember(header: Header) -> bool:
    """Whether the fast way for a vocabulary is one that keeps every word, and works on one processor."""
    return is_byte_level(header) and find_spec("gigatoken") is not None


def fast_tokenizer(
    header: Header, specials: Iterable[bytes], definition: Callable[[], bytes | None]
) -> FastTokenizer | None:
    """The fast way for a vocabulary; None where gigatoken is missing or not proven to give the same ids.

    `definition` gives the vocabulary's tokenizer.json, or None.
    """
    if find_spec("gigatoken") is None or (text := definition()) is None:
        return None
    try:
        return FastTokenizer(text, specials, classes=is_byte_level(header))
    except (ImportError, ValueError, RuntimeError, OverflowError):  # what gigatoken can't read, llama.cpp can
        return None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_unknown(text: bytes) -> bool:
    """Whether UTF-8 has a character that llama.cpp and gigatoken may class differently."""
    if any(new in text for new in _NEW_CHARACTERS):
        return True
    return any(lead in text for lead in _ASTRAL) and _UNKNOWN_ASTRAL.search(text) is not None


def _finder(texts: Iterable[bytes]) -> Callable[[bytes], object]:
    """A function that looks for one of `texts` in a text.

    Most special tokens begin alike (`<|`), and looking for a few bytes is a hundred times faster than for a
    pattern.
    """
    longest_first = sorted(set(texts), key=len, reverse=True)
    if not longest_first:
        return lambda text: None
    search = re.compile(b"|".join(map(re.escape, longest_first))).search
    beginnings = {text[:2] for text in longest_first}
    if len(beginnings) > _FEW:
        return search
    return lambda text: any(beginning in text for beginning in beginnings) and search(text)
