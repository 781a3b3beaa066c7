"""Calls that recurse once a character, on a stack that is large enough.

Some vocabularies cut text with std::regex, which recurses for every character of a match: about 26,000
characters without a break overflow a usual stack of 8 MB, and the process dies. On a thread of its own a
stack can be as large as the text needs; only address space is taken, memory when it is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from llmcli.engine.llama.apart import NoThreadError, call_apart
from llmcli.errors import InputError

Result = TypeVar("Result")

SHALLOW = 4096
"""Bytes without a break that any thread's stack can take."""
BYTES_PER_LEVEL = 768
"""Stack that one more character costs; 500 were measured with GCC 12 on x86-64."""
MIN_STACK, MAX_STACK = 64 << 20, 8 << 30

_WORDS, _SPACES = re.compile(rb"\S+"), re.compile(rb"\s+")


def longest_unbroken(text: bytes) -> int:
    """An upper bound, in bytes, of what one match of a pre-tokenizer's pattern can cover.

    Every pattern in use matches at most spaces, one run without spaces, and spaces again.
    """
    longest_word = max((m.end() - m.start() for m in _WORDS.finditer(text)), default=0)
    longest_spaces = max((m.end() - m.start() for m in _SPACES.finditer(text)), default=0)
    return longest_word + 2 * longest_spaces


def call_deep(function: Callable[[], Result], depth: int) -> Result:
    """The result of `function`, called where it can recurse `depth` levels; its exceptions come through.

    Raises InputError where no stack is large enough.
    """
    if depth <= SHALLOW:
        return function()
    stack = max(MIN_STACK, depth * BYTES_PER_LEVEL)
    if stack > MAX_STACK:
        raise InputError(
            f"the text has {depth:,} bytes without a break, more than this vocabulary can be asked to take",
            hint=f"break it into lines of at most {MAX_STACK // BYTES_PER_LEVEL:,} bytes",
        )
    try:
        return call_apart(function, stack)
    except NoThreadError:
        raise InputError(
            f"no stack of {stack >> 20} MB can be had for {depth:,} bytes without a break",
            hint="raise the limit on address space (ulimit -v), or break the text into lines",
        ) from None
