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
# What Unicode calls default ignorable (joiners, soft hyphens, byte order marks, variation selectors, fillers,
# tags), and spaces that look like the ordinary one or like none.
INVISIBLE = re.compile(
    "[\xa0\xad\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200d\u202f\u205f-\u2065\u2800"
    "\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
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


def visible(text: str) -> str:
    """The same, with nothing left that can't be seen but the ordinary space.

    >>> visible("soft\\u00adhyphen")
    'soft\\\\xadhyphen'
    """
    return INVISIBLE.sub(_escape, safe_line(text))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    short = _SHORT.get(character)
    return short or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
