"""The header of a GGUF file: unusual ones are read, damaged ones refused, each with its own message."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from llmcli.gguf import types
from tests.gguf.written import alignment, array, entry, file_of, read, refusal, tensor, text

VALID: dict[str, bytes] = {
    "nothing in it": file_of(),
    "version 2": file_of((alignment(32),), version=2),
    "empty arrays": file_of((entry("a", 9, array(8, 0, b"")), entry("b", 9, array(4, 0, b"")))),
    "a scalar tensor": file_of((), (tensor("a", ()),), data=4),
    "last tensor not padded": file_of((), (tensor("a", (3,)),), data=12),
    "alignment 1": file_of((alignment(1),), (tensor("a", (3,)), tensor("b", (1,), 0, 12)), data=64),
    "longest name": file_of((), (tensor("x" * 63, (1,)),), data=4),
    "four dimensions": file_of((), (tensor("a", (2, 1, 3, 1)),), data=24),
    "tensors of no model": file_of((), (tensor("a", (8,)), tensor("b", (8,), 0, 32)), data=64),
}


@pytest.mark.parametrize("content", VALID.values(), ids=VALID.keys())
def test_what_llama_cpp_accepts_is_accepted(tmp_path: Path, content: bytes) -> None:
    """Unusual files that llama.cpp's own reader takes are not refused."""
    read(tmp_path, content)


def test_type_newer_than_the_table_is_accepted(tmp_path: Path) -> None:
    """A newer llama.cpp may know the type: only the place is checked, and the size is unknown."""
    newer = types.NEWEST_TENSOR_TYPE + 1
    content = file_of((), (tensor("a", (7,), newer), tensor("b", (1,), 0, 64)), data=68)
    assert [(t.type, t.n_bytes) for t in read(tmp_path, content).tensors] == [(newer, None), (0, 4)]
    lost = file_of((), (tensor("a", (7,), newer),), data=1)[:-1]
    assert refusal(tmp_path, lost) == "the file ends 1 bytes early: a half download?"


def test_text_that_is_not_utf8_is_replaced(tmp_path: Path) -> None:
    """Invalid bytes in strings become U+FFFD, alone and in arrays."""
    bad = entry("a", 8, text(b"ok\xff")), entry("b", 9, array(8, 2, text(b"\xc3") + text("z")))
    header = read(tmp_path, file_of(bad))
    assert header.metadata["a"] == "ok�"
    assert header.array("b") == ["�", "z"]


def test_header_longer_than_the_first_read(tmp_path: Path) -> None:
    """A header of more than 8 MiB is read in full, its tensor and last entry after the long ones."""
    many = entry("many", 9, array(8, 300_000, text("x" * 30) * 300_000))
    long = entry("long", 9, array(0, 20 << 20, bytes(20 << 20)))
    content = file_of((many, long, alignment(64)), (tensor("a", (1,)),), data=100)
    header = read(tmp_path, content)
    assert header.metadata["general.alignment"] == 64
    assert [t.name for t in header.tensors] == ["a"]
    assert header.array("many")[-1] == "x" * 30


HUGE = 2**64 - 1
DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "magic alone": (b"GGUF", "the file ends inside its header, in the first 24 bytes"),
    "cut in the counts": (file_of()[:20], "the file ends inside its header, in the first 24 bytes"),
    "version 0": (file_of(version=0), "GGUF version 0 is not supported, only 2 and 3 are"),
    "version 1": (file_of(version=1), "GGUF version 1 is not supported, only 2 and 3 are"),
    "version 4": (file_of(version=4), "GGUF version 4 is not supported, only 2 and 3 are"),
    "big endian": (
        b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        "a big-endian GGUF file, which this machine can't run",
    ),
    "random after magic": (
        b"GGUF\x03\0\0\0" + bytes(range(7, 39)),
        "the header claims 1,012,478,732,780,767,239 tensors in a file of 40 bytes",
    ),
    "count of entries": (
        file_of(n_entries=HUGE),
        "the header claims 18,446,744,073,709,551,615 metadata entries in a file of 24 bytes",
    ),
    "key past the end": (
        file_of((struct.pack("<Q", HUGE) + bytes(16),)),
        "the file ends inside its header, in the metadata",
    ),
    "value past the end": (
        file_of((entry("a.key", 8, struct.pack("<Q", 1 << 40)),)),
        "the file ends inside its header, in the value of a.key",
    ),
    "array count past the end": (
        file_of((entry("a.key", 9, array(8, HUGE, b"")),)),
        "the file ends inside its header, in the value of a.key",
    ),
    "array of numbers past the end": (
        file_of((entry("a.key", 9, array(12, HUGE, bytes(8))),)),
        "the file ends inside its header, in the value of a.key",
    ),
    "array string past the end": (
        file_of((entry("a.key", 9, array(8, 2, text("ok") + struct.pack("<Q", HUGE))),)),
        "the file ends inside its header, in the value of a.key",
    ),
    "array strings cut": (
        file_of((entry("a.key", 9, array(8, 3, text("x" * 50) + text("y"))),)),
        "the file ends inside its header, in the value of a.key",
    ),
    "unknown value type": (file_of((entry("k", 13, bytes(8)),)), "k has a value of the unknown type 13"),
    "negative value type": (file_of((entry("k", -1, bytes(8)),)), "k has a value of the unknown type -1"),
    "unknown array type": (
        file_of((entry("k", 9, array(77, 1, bytes(8))),)),
        "k is an array of the unknown type 77",
    ),
    "nested arrays": (
        file_of((entry("k", 9, array(9, 1, array(4, 0, b""))),)),
        "k is an array of arrays, which llama.cpp does not read",
    ),
    "empty key": (file_of((entry("", 4, bytes(4)),)), "a metadata key is empty or has a NUL in it"),
    "NUL in a key": (file_of((entry("a\0b", 7, b"\1"),)), "a metadata key is empty or has a NUL in it"),
    "duplicate key": (file_of((alignment(32), alignment(32))), "the metadata has general.alignment twice"),
    "alignment 0": (file_of((alignment(0),)), "general.alignment is 0, not a power of two"),
    "alignment 48": (file_of((alignment(48),)), "general.alignment is 48, not a power of two"),
    "alignment of 64 bits": (
        file_of((alignment(32, 10),)),
        "general.alignment is not an unsigned 32-bit number",
    ),
    "alignment as text": (
        file_of((entry("general.alignment", 8, text("32")),)),
        "general.alignment is 32, not a power of two",
    ),
    "cut in the tensors": (
        file_of((), (tensor("a", (1,))[:-3],)),
        "the file ends inside its header, in the list of tensors",
    ),
    "long tensor name": (
        file_of((), (tensor("x" * 65, (1,)),), data=64),
        "a name of 65 bytes in the list of tensors, where 63 is the most",
    ),
    "NUL in a tensor name": (file_of((), (tensor("a\0", (1,)),), data=4), "a tensor's name has a NUL in it"),
    "duplicate tensor": (
        file_of((), (tensor("t", (1,)), tensor("t", (1,), 0, 32)), data=64),
        "the tensor t is there twice",
    ),
    "five dimensions": (
        file_of((), (tensor("t", (1, 1, 1, 1, 1)),), data=64),
        "the tensor t has 5 dimensions, more than 4",
    ),
    "zero dimension": (
        file_of((), (tensor("t", (4, 0)),), data=64),
        "the tensor t has an impossible shape: (4, 0)",
    ),
    "overflowing dimensions": (
        file_of((), (tensor("t", (2**32, 2**31)),), data=64),
        "the tensor t has an impossible shape: (4294967296, 2147483648)",
    ),
    "removed tensor type": (
        file_of((), (tensor("t", (32,), 4),), data=64),
        "the tensor t is of type 4, which llama.cpp has not",
    ),
    "negative tensor type": (
        file_of((), (tensor("t", (32,), -2),), data=64),
        "the tensor t is of type -2, which llama.cpp has not",
    ),
    "part of a block": (
        file_of((), (tensor("t", (33,), 8),), data=64),
        "the tensor t has rows of 33, no multiple of Q8_0's block of 32",
    ),
    "unaligned tensor": (
        file_of((), (tensor("t", (1,), 0, 4),), data=64),
        "the tensor t is not aligned to 32 bytes",
    ),
    "overlapping tensors": (
        file_of((), (tensor("t", (64,)), tensor("u", (8,), 0, 32)), data=512),
        "the tensor u is at 32, where 256 is its place",
    ),
    "half download": (
        file_of((), (tensor("t", (1024,)),), data=4096 - 1234),
        "the file ends 1,234 bytes early: a half download?",
    ),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Each kind of damage has its own message, and a hint."""
    assert refusal(tmp_path, content) == message
