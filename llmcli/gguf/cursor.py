"""The bytes of a GGUF file, taken step by step and never past their end.

The lowest floor of the road: `header` gives the bytes their meaning. They are read, not mapped,
because a file that shrinks while it is mapped kills the process.
"""

from __future__ import annotations

import codecs
import os
import stat
import struct
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, NoReturn

from llmcli.errors import GgufError

if TYPE_CHECKING:
    from pathlib import Path

U32 = struct.Struct("<I")
I32 = struct.Struct("<i")
U64 = struct.Struct("<Q")

AGAIN = "the file is damaged or cut short: download or convert it again"


class PrefixTooShortError(Exception):
    """What is asked for lies in the file, but after the bytes that were read."""


class Cursor:
    """A place in the file's first bytes that never leaves them."""

    def __init__(self, path: Path, data: bytes, size: int) -> None:
        self.path = path
        self.data = data
        self.size = size
        self.position = 0
        self.where = "the first 24 bytes"

    def fail(self, message: str) -> NoReturn:
        """Raise GgufError: the file is damaged."""
        raise GgufError(f"{self.path}: {message}", hint=AGAIN)

    def take(self, n_bytes: int) -> int:
        """Step over ``n_bytes``; returns where they begin."""
        start = self.position
        self._reach(start + n_bytes)
        self.position += n_bytes
        return start

    def number(self, code: struct.Struct) -> int:
        """Step over a whole number; returns it."""
        number: int = code.unpack_from(self.data, self.take(code.size))[0]
        return number

    def text(self, longest: int | None = None) -> str:
        """Step over a string, of ``longest`` bytes at most; returns it."""
        length = self.number(U64)
        if longest is not None and length > longest:
            self.fail(f"a name of {length:,} bytes in {self.where}, where {longest} is the most")
        start = self.take(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def skip_texts(self, count: int) -> None:
        """Step over ``count`` strings: 0.4 million in a large vocabulary, so the loop is bare."""
        self._reach(self.position + count * U64.size)
        data, position, unpack = self.data, self.position, U64.unpack_from
        try:
            for _ in repeat(None, count):
                position += unpack(data, position)[0] + 8
        except (struct.error, OverflowError):
            position += U64.size
        self._reach(position)
        self.position = position

    def _reach(self, end: int) -> None:
        if end > self.size:
            self.fail(f"the file ends inside its header, in {self.where}")
        if end > len(self.data):
            raise PrefixTooShortError


def strings(data: bytes, count: int) -> list[str]:
    """Decode ``count`` strings that fill ``data``; struct.error where they don't."""
    return [text.decode("utf-8", "replace") for text in _texts(data, count)]


def repeated(data: bytes, count: int) -> bytes | None:
    """The first of ``count`` strings that fill ``data`` that was there before; empty ones don't count."""
    texts = _texts(data, count)
    if len(set(texts)) == count:
        return None
    seen: set[bytes] = set()
    for text in texts:
        if text in seen and text:
            return text
        seen.add(text)
    return None


def _texts(data: bytes, count: int) -> list[bytes]:
    texts = []
    position, unpack = 0, U64.unpack_from
    for _ in repeat(None, count):
        start = position + 8
        position = start + unpack(data, position)[0]
        texts.append(data[start:position])
    if position != len(data):
        raise struct.error
    return texts


def read_bytes(path: Path, offset: int, n_bytes: int) -> tuple[bytes, int]:
    """Up to ``n_bytes`` of the regular file at ``path``, and its size."""
    try:
        mode = path.stat().st_mode
        # Asked before opening: to open a FIFO waits for its writer, some devices act on it.
        if stat.S_ISDIR(mode):
            raise GgufError(f"{path}: is a directory", hint="give the .gguf file inside it")
        if not stat.S_ISREG(mode):
            raise GgufError(f"{path}: not a regular file", hint="save the model to a file first")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(n_bytes)
    except FileNotFoundError:
        raise GgufError(f"{path}: no such file", hint="'llmcli models list' shows what there is") from None
    except PermissionError:
        raise GgufError(f"{path}: permission denied") from None
    except OSError as error:
        raise GgufError(f"{path}: can't be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the path
        raise GgufError(f"{path}: can't be opened: {error}") from None
    if len(data) < min(n_bytes, size - offset):
        raise GgufError(f"{path}: changed while it was read")
    return data, size


_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: git lfs pull fetches it"),
    (b"PK\x03\x04", "a zip archive or a PyTorch checkpoint"),
    *((bytes([0x80, protocol]), "a Python pickle, as of PyTorch") for protocol in (2, 3, 4, 5)),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    *((magic, "a GGML file, from before GGUF") for magic in (b"lmgg", b"fmgg", b"tjgg")),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)


def looks_like(data: bytes) -> str:
    """What a file that is no GGUF file seems to be, as in ``it is text``."""
    start = data[:4096]
    # safetensors: the length of a JSON object in eight bytes, then the object.
    if start[4:9] == b"\0\0\0\0{":
        return "it is a safetensors file"
    for signature, kind in _SIGNATURES:
        if start.lstrip()[: len(signature)].lower() == signature.lower():
            return f"it is {kind}"
    if not start.strip(b"\0"):
        return "it begins with zeros: a download that has not arrived?"
    with suppress(UnicodeDecodeError):
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
        if all(character.isprintable() or character.isspace() for character in text):
            return "it is text"
    return f"it begins with the bytes {start[:4].hex(' ')}"
