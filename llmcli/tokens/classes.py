"""Characters that llama.cpp and gigatoken may class differently, and how to find one in a text.

The two programs were held against each other for every code point: gigatoken knows 9,039 letters and digits
that came with Unicode 16 and 17, which to llama.cpp are nothing yet. In the astral planes only those blocks
count as known in which such can't be: mathematical letters, symbols and emoji, and a Chinese extension.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NEW_CHARACTERS = (0x088F, 0x0C5C, 0x0CDC, *range(0x1C80, 0x1CC0), *range(0xA7C0, 0xA800))
_KNOWN_ASTRAL = (range(0x1D000, 0x1E000), range(0x1F000, 0x20000), range(0x20000, 0x2A000))


def has_unknown(data: bytes) -> bool:
    """Whether UTF-8 holds such a character.

    Most texts lack even the first bytes of all of them, and to look for one byte costs next to nothing.
    """
    import numpy as np

    units = np.frombuffer(data, np.uint8)
    return any(
        first in data
        and bool(seconds.take(units[1:][units[:-1] == first]).any())
        and _has_unknown(data.decode())
        for first, seconds in _beginnings().items()
    )


@cache
def _beginnings() -> dict[int, NDArray[np.bool_]]:
    """The first bytes of such characters, each with whether a second byte may follow it in one of them."""
    import numpy as np

    unknown = np.flatnonzero(_unknown_units()).tolist()
    points = [0x10000 + (unit - 0xD800 << 10) if 0xD800 <= unit < 0xDC00 else unit for unit in unknown]
    found: dict[int, NDArray[np.bool_]] = {}
    for point in points:
        first, second = chr(point).encode()[:2]
        found.setdefault(first, np.zeros(256, bool))[second] = True
    return found


def _has_unknown(text: str) -> bool:
    """The same of text, at whatever cost."""
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
