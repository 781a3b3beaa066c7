"""What a list of models shows of a GGUF file, read from as little of the file as will do.

`header` reads every token of a vocabulary on its way to the tensors: 50 ms for 128,000 of them. Here the
beginning of the file is enough where it says how large the model is; else the arrays of tokens are leapt
over. What that finds has to fit together to the last tensor, or `header` reads the file after all: a list may
trust it, a program that hands the file to llama.cpp may not.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmcli.errors import GgufError
from llmcli.gguf.cursor import U32, U64, Cursor, PrefixTooShortError, read_bytes
from llmcli.gguf.header import MetadataValue, entry, preamble, read_header
from llmcli.gguf.types import FILE_TYPES, TENSOR_TYPES

_PREFIXES = (64 << 10, 1 << 20, 8 << 20, 128 << 20)
_NEXT_KEY = b"\0\0\0\0\0\0\0tokenizer."
"""What follows an array of tokens or merges in most files: the high bytes of a key's length, and the key."""
_SHORT_ARRAY = 1000
_PLACES = tuple(struct.Struct(f"<{n}QiQ") for n in range(5))
"""A tensor's shape, type and offset, by the number of its dimensions."""


@dataclass(frozen=True)
class Summary:
    """A model file at a glance; None where the file does not say."""

    architecture: str | None
    kind: str
    """``model``, or what else a GGUF file may hold: ``adapter``, ``mmproj``, ``imatrix``."""
    quantization: str | None
    parameters: int | None
    size_label: str | None
    """The size of the model in words, as in ``8B`` or ``30B-A3B``."""
    context_length: int | None


def summarize(path: Path, *, to_the_end: bool = False) -> Summary:
    """A file at a glance; with `to_the_end` only if every tensor lies inside the file.

    Raises GgufError as `read_header`, though not for all that it would find.
    """
    for limit in _PREFIXES:
        data, size = read_bytes(path, 0, limit)
        cursor = _LeapingCursor(path, data, size)
        metadata: dict[str, MetadataValue] = {}
        try:
            _, n_tensors, n_entries = preamble(cursor)
            for _ in range(n_entries):
                key, value = entry(cursor)
                metadata[key] = value
            parameters = _parameters(cursor, n_tensors, metadata.get("general.alignment", 32))
            if parameters is None:
                break
            return _summary(metadata, parameters)
        except PrefixTooShortError:
            if not to_the_end and (metadata.keys() & {"general.size_label", "general.parameter_count"}):
                return _summary(metadata, _whole(metadata, "general.parameter_count"))
        except GgufError:
            break
    header = read_header(path)
    return _summary(header.metadata, sum(tensor.n_elements for tensor in header.tensors))


class _LeapingCursor(Cursor):
    """A cursor that looks for the end of a long array of strings instead of walking to it."""

    def skip_texts(self, count: int) -> None:
        """Step over ``count`` strings, or to what looks like the key behind them."""
        found = self.data.find(_NEXT_KEY, self.position + 8 * count) if count > _SHORT_ARRAY else -1
        if found > 0:
            self.position = found - 1
        elif count > _SHORT_ARRAY and len(self.data) < self.size:
            raise PrefixTooShortError
        else:
            super().skip_texts(count)


def _parameters(cursor: Cursor, n_tensors: int, alignment: MetadataValue) -> int | None:
    """How many numbers all tensors hold; None where their list does not fit the file.

    The loop is bare, because a large model has a thousand tensors: `header.tensors` checks each in full.
    """
    if not isinstance(alignment, int):
        return None
    data, position = cursor.data, cursor.position
    parameters = expected = end = 0
    try:
        for _ in range(n_tensors):
            position += 8 + U64.unpack_from(data, position)[0]
            n_dimensions = U32.unpack_from(data, position)[0]
            *shape, number, offset = _PLACES[n_dimensions].unpack_from(data, position + 4)
            position += 4 + _PLACES[n_dimensions].size
            n_elements = math.prod(shape)
            kind = TENSOR_TYPES.get(number)
            if kind is None or offset != expected:
                return None
            parameters += n_elements
            end = offset + n_elements // kind.block * kind.n_bytes
            expected = -(-end // alignment) * alignment
    except struct.error:
        if len(data) < cursor.size:
            raise PrefixTooShortError from None
        return None
    except (IndexError, ArithmeticError):
        return None
    if not n_tensors:  # only the end of the file can tell whether the leap went astray
        return 0 if cursor.size - position < 32 else None
    return parameters if -(-position // alignment) * alignment + end <= cursor.size else None


def _summary(metadata: Mapping[str, MetadataValue], parameters: int | None) -> Summary:
    architecture = _text(metadata, "general.architecture")
    file_type = metadata.get("general.file_type")
    return Summary(
        architecture=architecture,
        kind=_text(metadata, "general.type") or "model",
        quantization=FILE_TYPES.get(file_type) if isinstance(file_type, int) else None,
        parameters=parameters,
        size_label=_text(metadata, "general.size_label"),
        context_length=_whole(metadata, f"{architecture}.context_length"),
    )


def _text(metadata: Mapping[str, MetadataValue], key: str) -> str | None:
    value = metadata.get(key)
    return value if isinstance(value, str) and value else None


def _whole(metadata: Mapping[str, MetadataValue], key: str) -> int | None:
    value = metadata.get(key)
    return value if isinstance(value, int) and value > 0 else None
