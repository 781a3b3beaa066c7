"""Text that can't drive the terminal.

What a model, a file or a vocabulary says may hold escape sequences that move the cursor, change colours, set
the title or paste into the shell, and bidirectional overrides that show text in another order than it has.
On a terminal such characters are shown as visible escapes. It is done character by character, so it makes
no difference how a sequence is split over tokens.
"""

from __future__ import annotations

import re

# C0 but newline and tab; DEL and C1; bidirectional controls; line and paragraph separators; what is left of
# bytes that were no UTF-8 (surrogates).
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
_SHORT = {"\r": r"\r", "\x0b": r"\v", "\x0c": r"\f", "\x08": r"\b", "\x07": r"\a", "\x00": r"\0"}


def safe(text: str) -> str:
    """`text` with every character that could drive a terminal shown as an escape; newline and tab stay.

    >>> safe("a\\x1b[31mb\\u202e")
    'a\\\\x1b[31mb\\\\u202e'
    """
    return UNSAFE.sub(_escape, text)


def safe_line(text: str) -> str:
    """The same, for text that has to stay on one line: newline and tab are shown, too."""
    return safe(text).replace("\n", r"\n").replace("\t", r"\t")


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
