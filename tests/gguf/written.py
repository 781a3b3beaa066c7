"""GGUF files written by hand: whole ones, and ones that are not."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from llmcli.errors import GgufError
from llmcli.gguf import types
from llmcli.gguf.header import Header, read_header


def write_sample(path: Path, *, alignment: int | None = None) -> Path:
    """A small valid file with a value of every type, three kinds of arrays and three tensors."""
    writer = gguf.GGUFWriter(path, "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_uint8("a.u8", 255)
    writer.add_int8("a.i8", -128)
    writer.add_uint16("a.u16", 65535)
    writer.add_int16("a.i16", -32768)
    writer.add_uint32("a.u32", 2**32 - 1)
    writer.add_int32("a.i32", -(2**31))
    writer.add_uint64("a.u64", 2**64 - 1)
    writer.add_int64("a.i64", -(2**63))
    writer.add_float32("a.f32", 1.5)
    writer.add_float64("a.f64", 0.1)
    writer.add_bool("a.yes", True)
    writer.add_bool("a.no", False)
    writer.add_string("a.text", "Grüße, 世界 🦙")
    writer.add_token_list(["", "a", " llama", "x" * 300, "é"])
    writer.add_token_scores([0.0, -1.0, -2.5, 1e-3, 7.0])
    writer.add_token_types([1, 1, 2, 3, 6])
    writer.add_array("a.flags", [True, False, True])
    writer.add_tensor("token_embd.weight", np.ones((5, 8), dtype=np.float32))
    writer.add_tensor("odd.bias", np.ones((3,), dtype=np.float16))
    quantized = np.zeros((2, 68), dtype=np.uint8)
    writer.add_tensor("blk.0.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(value: str | bytes) -> bytes:
    """A string with its length before it."""
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def entry(key: str | bytes, number: int, value: bytes) -> bytes:
    """A key, the number of its type, and its value."""
    return text(key) + struct.pack("<i", number) + value


def array(number: int, length: int, value: bytes) -> bytes:
    """An array that claims `length` values of the type `number`."""
    return struct.pack("<iQ", number, length) + value


def tensor(name: str | bytes, shape: tuple[int, ...], number: int = 0, offset: int = 0) -> bytes:
    """What the header says of a tensor."""
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<iQ", number, offset)


def file_of(
    entries: tuple[bytes, ...] = (),
    tensors: tuple[bytes, ...] = (),
    *,
    data: int = 0,
    version: int = 3,
    n_tensors: int | None = None,
    n_entries: int | None = None,
) -> bytes:
    """A file of these entries and tensors, with ``data`` bytes of tensor data, or of claimed numbers."""
    counts = (
        len(tensors) if n_tensors is None else n_tensors,
        len(entries) if n_entries is None else n_entries,
    )
    header = struct.pack("<4sIQQ", b"GGUF", version, *counts) + b"".join(entries + tensors)
    return header + bytes(-len(header) % 32) + bytes(data) if data else header


def read(tmp_path: Path, content: bytes) -> Header:
    """The header of a file of this content."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return read_header(path)


def refusal(tmp_path: Path, content: bytes) -> str:
    """What a file of this content is refused with, after the path that the message begins with."""
    with pytest.raises(GgufError) as caught:
        read(tmp_path, content)
    assert caught.value.hint
    return caught.value.message.removeprefix(f"{tmp_path / 'model.gguf'}: ")


def alignment(value: int, number: int = types.UINT32) -> bytes:
    """The entry that says at what multiples tensors begin."""
    code = types.SCALARS[number]
    return entry("general.alignment", number, struct.pack(f"<{code}", value))
