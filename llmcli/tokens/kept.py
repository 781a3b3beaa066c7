"""Definitions for the fast way, kept in the cache folder: to make one takes ten times as long as to read it.

A file is named by a digest of everything that its text is made from. One that is damaged or of another
version is made anew; a folder that can't be written changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from llmcli.gguf.cursor import read_bytes
from llmcli.gguf.header import Array, Header
from llmcli.settings.checked_file import read_checked, write_checked

VERSION = 1
"""Of what the definitions say: to be raised when they are made in another way."""
MOST_FILES = 8
"""How many are kept; the oldest go first."""

_SAYS = ("model", "pre", "tokens", "merges", "scores")
_DIGEST_SIZE = 32


def kept(
    folder: Path | None, header: Header, puts_space: bool, make: Callable[[], bytes | None]
) -> bytes | None:
    """What `make` gives for the vocabulary of `header`, from the folder where it is there."""
    if folder is None:
        return make()
    path = folder / f"{_name(header, puts_space)}.json"
    text = read_checked(path)
    if text is None and (text := make()) is not None:
        write_checked(path, text)
        _let_the_oldest_go(folder)
    return text


def _name(header: Header, puts_space: bool) -> str:
    """A digest of what a definition is made from."""
    digest = hashlib.blake2b(digest_size=_DIGEST_SIZE)
    digest.update(f"{VERSION} {puts_space}".encode())
    for key in _SAYS:
        value = header.metadata.get(f"tokenizer.ggml.{key}")
        if isinstance(value, Array):
            data, _ = read_bytes(header.path, value.offset, value.n_bytes)
            digest.update(f"{key} {value.type} {value.length} {len(data)}".encode() + data)
        else:
            digest.update(f"{key} {value!r}".encode())
    return digest.hexdigest()


def _let_the_oldest_go(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for old in files[:-MOST_FILES]:
            old.unlink(missing_ok=True)
