"""Files of the cache folder: a digest, and the content. A damaged one is as good as none."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from llmcli.errors import FileError
from llmcli.settings.new_file import new_file

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
    """Write a file whole; where that can't be done, nothing changes."""
    with suppress(OSError, FileError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as write:
            write(_digest(content) + content)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SIZE).digest()
