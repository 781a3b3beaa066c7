"""Definitions for the fast way, kept in the cache folder: to make one takes ten times as long as to read it.

A file is named by a digest of everything that its text is made from, and begins with a digest of the text.
One that is cut short, altered or of another version is made anew; a folder that can't be written changes
nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from llmcli.gguf.cursor import read_bytes
from llmcli.gguf.header import Array, Header

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
    text = _read(path)
    if text is None and (text := make()) is not None:
        _write(path, text)
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


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    found, text = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    if found != hashlib.blake2b(text, digest_size=_DIGEST_SIZE).digest():
        return None
    return text


def _write(path: Path, text: bytes) -> None:
    """Write the file beside its name, and let the oldest go."""
    beside = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(hashlib.blake2b(text, digest_size=_DIGEST_SIZE).digest() + text)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        files = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for old in files[:-MOST_FILES]:
            old.unlink(missing_ok=True)
