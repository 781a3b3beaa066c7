"""The characters of a text as llama.cpp reads them, also where it is no UTF-8.

A byte that is no part of a character is U+FFFD. A character in more bytes than it needs is one nevertheless,
which Python does not allow.
"""

from __future__ import annotations

import re

_CHARACTER = re.compile(
    rb"[\x00-\x7f]|[\xc0-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf7][\x80-\xbf]{3}|.", re.DOTALL
)
_BITS_OF_FIRST = {2: 0x1F, 3: 0x0F, 4: 0x07}


def characters_of(data: bytes) -> list[tuple[int, str]]:
    """Each character of a text with the number of bytes it takes there.

    >>> characters_of(b"a\\xff\\xc1\\xa1")
    [(1, 'a'), (1, '\ufffd'), (2, 'a')]
    """
    try:
        return [(len(c.encode()), c) for c in data.decode()]
    except UnicodeDecodeError:
        return [(len(found[0]), _character(found[0])) for found in _CHARACTER.finditer(data)]


def read_characters(data: bytes) -> str:
    """The characters of a text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(character for _, character in characters_of(data))


def _character(data: bytes) -> str:
    if len(data) == 1:
        return chr(data[0]) if data[0] < 0x80 else "\ufffd"
    code = data[0] & _BITS_OF_FIRST[len(data)]
    for byte in data[1:]:
        code = code << 6 | byte & 0x3F
    # llama.cpp can't encode what lies beyond Unicode; its vocabulary is given U+FFFD for each byte of it.
    return chr(code) if code < 0x110000 else "\ufffd" * len(data)
