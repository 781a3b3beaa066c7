"""Tokenizing at hundreds of megabytes a second: gigatoken, built from the GGUF's own vocabulary.

It is an optional dependency, and it is used only where its ids are proven to be llama.cpp's: for vocabularies
that can be told to it (`definition.py`), and texts that are UTF-8, hold no special token, and, where the
pattern asks for letters and digits, no character that the two programs' Unicode tables class differently. For
anything else `knows` says no, and llama.cpp itself does the work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from llmcli.tokens.backend import Backend
from llmcli.tokens.classes import has_unknown
from llmcli.tokens.definition import SEPARATOR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEW = 8
_SEPARATOR = SEPARATOR.encode()


class FastTokenizer:
    """Bytes to ids, for texts that it `knows`. Thread-safe; no BOS, no EOS, no special tokens."""

    def __init__(self, backend: Backend, specials: Iterable[bytes], *, classes: bool) -> None:
        """With `classes` the ids depend on what is a letter or a digit."""
        self._backend = backend
        # With classes, the separator is among the characters that are not known.
        self._special = _finder(specials if classes else [*specials, _SEPARATOR])
        self._classes = classes

    def keep_words(self) -> None:
        """Never start anew: whoever calls this bounds its memory in another way."""
        self._backend.keep_words()

    def knows(self, text: bytes) -> bool:
        """Whether its ids for `text` are certain to be llama.cpp's."""
        if not text.isascii() and (not _is_utf8(text) or (self._classes and has_unknown(text))):
            return False
        return not self._special(text)

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """The ids of a text."""
        return self._backend.encode(text)

    def encode_separated(
        self, data: bytes, separator: bytes, first: int | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of all texts in `data`, and where those of each end. An empty text has none.

        With `first` each text's ids begin with this one.
        """
        import numpy as np

        data = data.replace(separator, _SEPARATOR)
        ids = self.encode(data if first is None else _SEPARATOR + data)
        between = ids == self._backend.n_tokens - 1
        borders = np.flatnonzero(between)
        if first is not None:
            ids[between] = first
            return ids, np.append(borders[1:], len(ids))
        ends = np.append(borders - np.arange(len(borders)), len(ids) - len(borders))
        return ids[~between], ends


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _finder(texts: Iterable[bytes]) -> Callable[[bytes], object]:
    """A function that looks for one of `texts` in a text.

    Most special tokens begin alike (`<|`), and looking for two bytes is a hundred times faster than for a
    pattern.
    """
    longest_first = sorted(set(texts), key=len, reverse=True)
    if not longest_first:
        return lambda text: None
    search = re.compile(b"|".join(map(re.escape, longest_first))).search
    alike = [list(some) for _, some in groupby(sorted(longest_first), key=lambda text: text[:2])]
    beginnings = list(map(_common_beginning, alike))
    if len(beginnings) > _FEW or min(map(len, beginnings)) < 2:
        return search
    return lambda text: any(_begins_somewhere(text, one) for one in beginnings) and search(text)


def _common_beginning(ordered: Sequence[bytes]) -> bytes:
    """What all of these begin with: what the first and the last of them do."""
    first, last = ordered[0], ordered[-1]
    unlike = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(unlike, len(first))]


def _begins_somewhere(text: bytes, beginning: bytes) -> bool:
    """Whether `beginning` is in a text: where it is not, its first two bytes tell at five times the speed."""
    import numpy as np

    units = np.frombuffer(text, np.uint8)
    pair = (units[:-1] == beginning[0]) & (units[1:] == beginning[1])
    return bool(pair.any()) and beginning in text
