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
from functools import cache
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
_NEW_CHARACTERS = (0x088F, 0x0C5C, 0x0CDC, *range(0x1C80, 0x1CC0), *range(0xA7C0, 0xA800))
_KNOWN_ASTRAL = (range(0x1D000, 0x1E000), range(0x1F000, 0x20000), range(0x20000, 0x2A000))

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
        # With classes, the separator is among the characters that are not known.
        self._special = _finder(specials if classes else [*specials, _SEPARATOR])
        self._classes = classes
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
        if not text.isascii():
            characters = _text(text)
            if characters is None or (self._classes and _has_unknown(characters)):
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

    def encode_separated(
        self, data: bytes, separator: bytes, first: int | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of all texts in `data`, and where those of each end. An empty text has none.

        With `first` each text's ids begin with this one.
        """
        import numpy as np

        data = data.replace(separator, _SEPARATOR)
        ids = self.encode(data if first is None else _SEPARATOR + data)
        between = ids == self._backend.vocab_size - 1
        borders = np.flatnonzero(between)
        if first is not None:
            ids[between] = first
            return ids, np.append(borders[1:], len(ids))
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


def _text(data: bytes) -> str | None:
    """UTF-8 as text; None for what is none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _has_unknown(text: str) -> bool:
    """Whether a text has a character that llama.cpp and gigatoken may class differently."""
    import numpy as np

    units = np.frombuffer(text.encode("utf-16-le"), np.uint16)
    return bool(_unknown_units().take(units, mode="clip").any())


@cache
def _unknown_units() -> NDArray[np.bool_]:
    """For each unit of UTF-16 whether it may be, or begin, such a character. 64 KB, to be looked up in."""
    import numpy as np

    unknown = np.zeros(1 << 16, bool)
    unknown[[*_NEW_CHARACTERS]] = True
    unknown[0xD800:0xDC00] = True
    for block in _KNOWN_ASTRAL:
        unknown[[0xD800 + (point - 0x10000 >> 10) for point in block]] = False
    return unknown


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
