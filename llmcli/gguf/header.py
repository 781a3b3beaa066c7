"""What a GGUF file says about itself: metadata and the places of its tensors, every length checked.

The road from text to reply starts at a file that somebody else wrote. llama.cpp has had
memory-safety bugs in reading damaged ones, so each command reads the header here first, and takes
from it what it needs to know (architecture, window, chat template) before anything large is loaded.

The rules are those of llama.cpp's ``gguf.cpp``; the format is described in its ``gguf.h``:

    "GGUF"  version  number of tensors  number of metadata entries
    key, type, value                      for each entry of the metadata
    name, dimensions, type, offset        for each tensor
    padding, then the tensors' data
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmcli.errors import GgufError
from llmcli.gguf import types
from llmcli.gguf.cursor import (
    AGAIN,
    I32,
    U32,
    U64,
    Cursor,
    PrefixTooShortError,
    looks_like,
    read_bytes,
    repeated,
    strings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A small model's header fits the first length, most others the second; the last one bounds time and memory on
# a hostile file.
_PREFIXES = (256 << 10, 8 << 20, 32 << 20, 128 << 20)
_MOST_ENTRIES = 1 << 18
_LONGEST_NAME = 63
_MOST_DIMENSIONS = 4
_INT64_MAX = (1 << 63) - 1

_HINTS = {
    1: "convert the model again",
    **dict.fromkeys(range(4, 100), "the file may be newer than this llmcli: is there a newer one?"),
}
"""What to do about a version that is not read."""

_SCALARS = {number: struct.Struct(f"<{code}") for number, code in types.SCALARS.items()}


@dataclass(frozen=True)
class Array:
    """An array in the metadata, left in the file: `Header.array` reads it.

    ``offset`` counts from the file's start; ``type`` is that of the elements, as in `types`.
    """

    type: int
    length: int
    offset: int
    n_bytes: int


MetadataValue = bool | int | float | str | Array


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies. ``shape`` is in GGUF's order: the length of a row comes first.

    ``offset`` counts from the file's start. ``n_bytes`` is None where ``type`` is newer than the
    table in `types`.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int
    n_bytes: int | None

    @property
    def n_elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """A GGUF file's header; ``size`` is the whole file's, in bytes."""

    path: Path
    size: int
    version: int
    metadata: Mapping[str, MetadataValue]
    tensors: tuple[TensorInfo, ...]

    def array(self, key: str) -> list[Any]:
        """The elements of a metadata array, read from the file now.

        >>> header.array("tokenizer.ggml.tokens")[:3]
        ['<unk>', '<s>', '</s>']

        Raises GgufError where there is no such array, or the file is no longer what it was.
        """
        array = self.metadata.get(key)
        if not isinstance(array, Array):
            raise GgufError(f"{self.path}: no array named {key} in the metadata")
        data, _ = read_bytes(self.path, array.offset, array.n_bytes)
        try:
            if array.type == types.STRING:
                return strings(data, array.length)
            return list(struct.unpack(f"<{array.length}{types.SCALARS[array.type]}", data))
        except struct.error:
            raise GgufError(f"{self.path}: changed while it was read") from None


def check_tokens(header: Header) -> None:
    """Raise GgufError for a vocabulary with a token twice, at which llama.cpp ends the process."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Array) and tokens.type == types.STRING:
        data, _ = read_bytes(header.path, tokens.offset, tokens.n_bytes)
        try:
            token = repeated(data, tokens.length)
        except struct.error:
            raise GgufError(f"{header.path}: changed while it was read") from None
        if token is not None:
            name = token.decode("utf-8", "replace")
            raise GgufError(f"{header.path}: its vocabulary has the token {name!r} twice", hint=AGAIN)


def read_header(path: Path) -> Header:
    """Read and check the header of the file at ``path``.

    Raises GgufError, its message beginning with the path, for whatever is not a regular, readable,
    complete GGUF file of version 2 or 3.
    """
    for limit in _PREFIXES:
        data, size = read_bytes(path, 0, limit)
        try:
            return _parse(Cursor(path, data, size))
        except PrefixTooShortError:
            continue
    raise GgufError(f"{path}: the header is larger than {limit >> 20} MiB", hint=AGAIN)


def _parse(cursor: Cursor) -> Header:
    version, n_tensors, n_entries = preamble(cursor)
    metadata: dict[str, MetadataValue] = {}
    for _ in range(n_entries):
        key, value = entry(cursor)
        if key in metadata:
            cursor.fail(f"the metadata has {key} twice")
        metadata[key] = value
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment.bit_count() != 1:
        cursor.fail(f"general.alignment is {alignment}, not a power of two")
    placed = tensors(cursor, n_tensors, alignment)
    return Header(cursor.path, cursor.size, version, MappingProxyType(metadata), placed)


def preamble(cursor: Cursor) -> tuple[int, int, int]:
    """Step over the file's beginning: the version and the numbers of tensors and of metadata entries."""
    path, data, size = cursor.path, cursor.data, cursor.size
    if not size:
        raise GgufError(f"{path}: the file is empty", hint=AGAIN)
    if not data.startswith(b"GGUF"):
        raise GgufError(
            f"{path}: not a GGUF file ({looks_like(data)})",
            hint="models in the GGUF format are in files that end in .gguf",
        )
    cursor.position = 4
    version = cursor.number(U32)
    if version and not version & 0xFFFF:
        raise GgufError(
            f"{path}: a big-endian GGUF file, which this machine can't run",
            hint="look for a little-endian file of the same model, or convert it",
        )
    if version not in (2, 3):
        raise GgufError(
            f"{path}: GGUF version {version} is not supported, only 2 and 3 are",
            hint=_HINTS.get(version, AGAIN),
        )
    n_tensors, n_entries = cursor.number(U64), cursor.number(U64)
    # The smallest tensor takes 24 bytes of the header, the smallest metadata entry 14.
    for count, smallest, what in ((n_tensors, 24, "tensors"), (n_entries, 14, "metadata entries")):
        if count > min(_MOST_ENTRIES, (size - cursor.position) // smallest):
            cursor.fail(f"the header claims {count:,} {what} in a file of {size:,} bytes")
    return version, n_tensors, n_entries


def entry(cursor: Cursor) -> tuple[str, MetadataValue]:
    """Step over an entry of the metadata: its key and value."""
    cursor.where = "the metadata"
    key = cursor.text()
    # llama.cpp compares keys as C strings: what follows a NUL would be hidden from it, not from us.
    if not key or "\0" in key:
        cursor.fail("a metadata key is empty or has a NUL in it")
    cursor.where = f"the value of {key}"
    number = cursor.number(I32)
    if number == types.ARRAY:
        return key, _array(cursor, key)
    if number == types.STRING:
        return key, cursor.text()
    scalar = _SCALARS.get(number)
    if scalar is None:
        cursor.fail(f"{key} has a value of the unknown type {number}")
    if key == "general.alignment" and number != types.UINT32:
        cursor.fail("general.alignment is not an unsigned 32-bit number")
    value: bool | int | float = scalar.unpack_from(cursor.data, cursor.take(scalar.size))[0]
    return key, value


def _array(cursor: Cursor, key: str) -> Array:
    number, length = cursor.number(I32), cursor.number(U64)
    start = cursor.position
    if number == types.STRING:
        cursor.skip_texts(length)
    elif number in _SCALARS:
        cursor.take(length * _SCALARS[number].size)
    elif number == types.ARRAY:
        cursor.fail(f"{key} is an array of arrays, which llama.cpp does not read")
    else:
        cursor.fail(f"{key} is an array of the unknown type {number}")
    return Array(number, length, start, cursor.position - start)


def tensors(cursor: Cursor, count: int, alignment: int) -> tuple[TensorInfo, ...]:
    """Step over the list of tensors: offsets are turned from the data section's start to the file's."""
    found: dict[str, TensorInfo] = {}
    for _ in range(count):
        tensor = _tensor(cursor)
        if tensor.name in found:
            cursor.fail(f"the tensor {tensor.name} is there twice")
        found[tensor.name] = tensor
    start = _padded(cursor.position, alignment)
    placed = []
    expected: int | None = 0
    end = 0
    for name, tensor in found.items():
        if tensor.offset % alignment:
            cursor.fail(f"the tensor {name} is not aligned to {alignment} bytes")
        if expected not in (tensor.offset, None):
            cursor.fail(f"the tensor {name} is at {tensor.offset}, where {expected} is its place")
        placed.append(TensorInfo(name, tensor.shape, tensor.type, start + tensor.offset, tensor.n_bytes))
        # One byte at least of a type that this table does not know.
        end = max(end, start + tensor.offset + (tensor.n_bytes or 1))
        # After such a tensor only llama.cpp knows where the next one has to be.
        size = tensor.n_bytes
        expected = None if size is None else _padded(tensor.offset + size, alignment)
    if end > cursor.size:
        raise GgufError(
            f"{cursor.path}: the file ends {end - cursor.size:,} bytes early: a half download?",
            hint="download it again",
        )
    return tuple(placed)


def _tensor(cursor: Cursor) -> TensorInfo:
    """One tensor's record, its offset as written: from the data section's start."""
    cursor.where = "the list of tensors"
    name = cursor.text(_LONGEST_NAME)
    if "\0" in name:
        cursor.fail("a tensor's name has a NUL in it")
    n_dimensions = cursor.number(U32)
    if n_dimensions > _MOST_DIMENSIONS:
        cursor.fail(f"the tensor {name} has {n_dimensions} dimensions, more than {_MOST_DIMENSIONS}")
    shape = tuple(cursor.number(U64) for _ in range(n_dimensions))
    n_elements = math.prod(shape)
    if not 0 < n_elements <= _INT64_MAX:
        cursor.fail(f"the tensor {name} has an impossible shape: {shape}")
    number, offset = cursor.number(I32), cursor.number(U64)
    if number > types.NEWEST_TENSOR_TYPE:
        return TensorInfo(name, shape, number, offset, None)
    if number not in types.TENSOR_TYPES:
        cursor.fail(f"the tensor {name} is of type {number}, which llama.cpp has not")
    kind = types.TENSOR_TYPES[number]
    row = shape[0] if shape else 1
    if row % kind.block:
        cursor.fail(
            f"the tensor {name} has rows of {row}, no multiple of {kind.name}'s block of {kind.block}"
        )
    return TensorInfo(name, shape, number, offset, n_elements // kind.block * kind.n_bytes)


def _padded(offset: int, alignment: int) -> int:
    return (offset + alignment - 1) // alignment * alignment
