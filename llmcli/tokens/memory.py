"""How much memory the process has, and giving back what it no longer needs."""

from __future__ import annotations

import ctypes
from pathlib import Path

from llmcli.settings.there import exists

FOR_STREAMS = 232 << 20
"""Resident bytes that all processes together may have while records stream through them."""
FOR_WHOLE = 400 << 20
"""The same for whole texts: room for two helpers with a vocabulary of 128,000 tokens."""

_STATM = Path("/proc/self/statm")


def resident() -> int | None:
    """The process's resident memory in bytes; None where the system has no /proc."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    import resource

    return pages * resource.getpagesize()


def is_bounded() -> bool:
    """Whether the process's address space is (`ulimit -v`): what finds no room in it may end the process."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def give_back() -> None:
    """Have the C library return freed memory to the system, where it can: glibc keeps it for later."""
    if exists(_STATM):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
