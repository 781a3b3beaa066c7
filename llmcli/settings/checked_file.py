"""Files of the cache folder: a digest, and the content. A damaged one is as good as none."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

_SIZE = 32


def read_checked(path: Path) -> bytes | None:
    """What `write_checked` wrote; None where it is not there, or not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:_SIZE], data[_SIZE:]
    return content if digest == _digest(content) else None


def write_checked(path: Path, content: bytes) -> None:
    """Write a file beside its name, and then in its place; where that can't be done, nothing changes."""
    beside = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(_digest(content) + content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SIZE).digest()
