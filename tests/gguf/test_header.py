"""The header of a GGUF file: read as the reference reader does, and refused wherever it is damaged."""

from __future__ import annotations

import errno
import os
import struct
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcli.errors import GgufError
from llmcli.gguf import types
from llmcli.gguf.header import Array, Header, TensorInfo, read_header

SHARED = Path(os.environ.get("LLMCLI_TEST_DATA") or Path(__file__).parents[3] / "shared")
REAL_FILES = sorted([*SHARED.glob("vocabs/*.gguf"), *SHARED.glob("models/*.gguf")])


# Valid files


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


def assert_as_reference(header: Header, path: Path) -> None:
    """Every metadata value and every tensor is what gguf.GGUFReader reads."""
    reader = gguf.GGUFReader(path)
    expected = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert header.metadata.keys() == expected.keys()
    for key, value in header.metadata.items():
        found = header.array(key) if isinstance(value, Array) else value
        assert found == expected[key], key
        assert type(found) is type(expected[key]), key
    assert [(t.name, t.shape, t.type, t.offset, t.n_bytes) for t in header.tensors] == [
        (t.name, tuple(map(int, t.shape)), int(t.tensor_type), int(t.data_offset), int(t.n_bytes))
        for t in reader.tensors
    ]


@pytest.mark.parametrize("alignment", [None, 8, 64, 4096])
def test_reads_what_the_reference_reads(tmp_path: Path, alignment: int | None) -> None:
    """A value of every type and tensors of three types, at any alignment, as gguf.GGUFReader has them."""
    path = write_sample(tmp_path / "model.gguf", alignment=alignment)
    header = read_header(path)
    assert_as_reference(header, path)
    assert (header.path, header.size, header.version) == (path, path.stat().st_size, 3)


@pytest.mark.parametrize(
    "path",
    # The reference takes seconds for the others.
    [path for path in REAL_FILES if path.stat().st_size < 1_200_000],
    ids=lambda path: path.name,
)
def test_reads_real_files_as_the_reference_does(path: Path) -> None:
    """Real vocabularies (no tensors at all) and a real model read as gguf.GGUFReader reads them."""
    assert_as_reference(read_header(path), path)


@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
def test_real_files_written_again_are_the_same_bytes(path: Path) -> None:
    """The entries of a real file, encoded again, are exactly the bytes of its header."""
    header = read_header(path)
    content = path.read_bytes()
    end = 24
    for key, value in header.metadata.items():
        end += len(text(key)) + 4
        kind = struct.unpack_from("<i", content, end - 4)[0]
        if isinstance(value, Array):
            assert content[end : end + 12] == struct.pack("<iQ", value.type, value.length)
            assert value.offset == end + 12
            again = b"".join(encoded(value.type, element) for element in header.array(key))
            assert len(again) == value.n_bytes
            end += 12
        else:
            again = encoded(kind, value)
        assert content[end : end + len(again)] == again, key
        end += len(again)
    if not header.tensors:
        assert end == header.size


def encoded(kind: int, value: bool | float | str) -> bytes:
    return text(value) if isinstance(value, str) else struct.pack(f"<{types.SCALARS[kind]}", value)


def test_real_vocabulary_takes_well_under_a_tenth_of_a_second() -> None:
    """128 k tokens and 280 k merges are stepped over fast enough for the start of every command."""
    path = SHARED / "vocabs" / "ggml-vocab-llama-bpe.gguf"
    if not path.exists():
        pytest.skip("needs the shared vocabularies")
    start = time.process_time()
    read_header(path)
    assert time.process_time() - start < 0.2  # 0.03 alone; room for a busy machine


def test_arrays_stay_in_the_file_until_asked_for(tmp_path: Path) -> None:
    """The metadata holds an array's type, length and place; `array` reads its elements."""
    header = read_header(write_sample(tmp_path / "model.gguf"))
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, Array)
    assert (tokens.type, tokens.length) == (types.STRING, 5)
    assert header.array("tokenizer.ggml.tokens") == ["", "a", " llama", "x" * 300, "é"]


def test_array_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A missing key and a scalar's key are both refused by name."""
    header = read_header(write_sample(tmp_path / "model.gguf"))
    for key in ("nothing.here", "a.u8"):
        with pytest.raises(GgufError, match=f"model.gguf: no array named {key} in the metadata"):
            header.array(key)


@pytest.mark.parametrize("key", ["tokenizer.ggml.tokens", "tokenizer.ggml.scores"])
def test_file_that_shrinks_after_its_header_was_read_is_an_error(tmp_path: Path, key: str) -> None:
    """An array of a file cut since then is refused, not read short (and nothing is mapped)."""
    path = write_sample(tmp_path / "model.gguf")
    header = read_header(path)
    os.truncate(path, 300)
    with pytest.raises(GgufError, match="changed while it was read"):
        header.array(key)


def test_file_that_is_overwritten_after_its_header_was_read_is_an_error(tmp_path: Path) -> None:
    """Strings whose lengths no longer fill the array are refused."""
    path = write_sample(tmp_path / "model.gguf")
    header = read_header(path)
    path.write_bytes(b"\x07" * header.size)
    with pytest.raises(GgufError, match="changed while it was read"):
        header.array("tokenizer.ggml.tokens")


def test_tensor_types_are_those_of_the_reference() -> None:
    """Names and block sizes agree with the gguf package."""
    for number, (block, n_bytes) in gguf.GGML_QUANT_SIZES.items():
        # The package counts two 4-byte floats; ggml-common.h has asserted two halves since 2024.
        n_bytes = 36 if number.name == "Q8_1" else n_bytes
        assert types.TENSOR_TYPES[number] == (number.name, block, n_bytes)


# Files written by hand


def text(value: str | bytes) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def entry(key: str | bytes, number: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<i", number) + value


def array(number: int, length: int, value: bytes) -> bytes:
    return struct.pack("<iQ", number, length) + value


def tensor(name: str | bytes, shape: tuple[int, ...], number: int = 0, offset: int = 0) -> bytes:
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
    code = types.SCALARS[number]
    return entry("general.alignment", number, struct.pack(f"<{code}", value))


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


# Damaged files

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


OTHER_FILES = {
    "text": (b"Once upon a time\n", "it is text"),
    "text cut inside a character": ("é".encode() * 5000, "it is text"),
    "json": (b'{"model": 1}', "it is text"),
    "zip": (b"PK\x03\x04\x14\0", "it is a zip archive or a PyTorch checkpoint"),
    "pickle": (b"\x80\x02}q\0.", "it is a Python pickle, as of PyTorch"),
    "gzip": (b"\x1f\x8b\x08\0", "it is compressed with gzip"),
    "safetensors": (struct.pack("<Q", 16) + b'{"a":{}}        ', "it is a safetensors file"),
    "old ggml": (b"tjgg\1\0\0\0", "it is a GGML file, from before GGUF"),
    "web page": (b"\n<!DOCTYPE html><html>", "it is a web page"),
    "git lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "it is a Git LFS pointer, not the file itself: git lfs pull fetches it",
    ),
    "zeros": (bytes(100), "it begins with zeros: a download that has not arrived?"),
    "noise": (b"\x9f\x01\xfe\x33\x44", "it begins with the bytes 9f 01 fe 33"),
}


@pytest.mark.parametrize(("content", "kind"), OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_file_of_another_kind_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    """What is not GGUF is refused with what it is, where that can be seen."""
    assert refusal(tmp_path, content) == f"not a GGUF file ({kind})"


def test_message_begins_with_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is not made absolute."""
    monkeypatch.chdir(tmp_path)
    Path("model.gguf").write_text("hello")
    with pytest.raises(GgufError) as caught:
        read_header(Path("model.gguf"))
    assert caught.value.message == "model.gguf: not a GGUF file (it is text)"


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    """Missing files, folders, FIFOs (without waiting for a writer), devices and impossible paths."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for path, message in (
        (tmp_path / "missing", "no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "fifo", "not a regular file"),
        (Path(os.devnull), "not a regular file"),
        (tmp_path / "file" / "below", "can't be read: Not a directory"),
        (tmp_path / "loop", "can't be read: Too many levels of symbolic links"),
        (tmp_path / ("x" * 300), "can't be read: File name too long"),
        (tmp_path / "a\0b", "can't be opened: embedded null byte"),
    ):
        with pytest.raises(GgufError) as caught:
            read_header(path)
        assert caught.value.message == f"{path}: {message}"


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EACCES, "permission denied"), (errno.EIO, "can't be read: Input/output error")],
)
def test_unreadable_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    """What the system refuses is said; forced here, because root may read everything."""

    def refuse(path: Path, mode: str) -> None:
        raise OSError(number, os.strerror(number), str(path))

    path = write_sample(tmp_path / "model.gguf")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(GgufError) as caught:
        read_header(path)
    assert caught.value.message == f"{path}: {message}"


# Hostile files


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (file_of(n_tensors=2**32), "the header claims 4,294,967,296 tensors"),
        (file_of(n_entries=2**18), "a metadata key is empty"),
        (file_of(n_tensors=2**18), "an impossible shape|there twice"),
        (file_of((entry("k", 9, array(8, 2**33, b"")),)), "the header is larger than 128 MiB"),
        (file_of((entry("k", 9, array(8, 15 << 20, b"")),), n_entries=2), "a metadata key is empty"),
        (file_of((entry("k", 8, struct.pack("<Q", 2**35)),)), "the header is larger than 128 MiB"),
    ],
)
def test_hostile_counts_take_bounded_time(tmp_path: Path, start: bytes, message: str) -> None:
    """Counts that a huge (sparse) file could hold are given up after a bounded stretch of it."""
    path = tmp_path / "model.gguf"
    path.write_bytes(start)
    os.truncate(path, 2**37)
    begin = time.process_time()
    with pytest.raises(GgufError, match=message):
        read_header(path)
    assert time.process_time() - begin < 10


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("fuzz") / "sample.gguf")


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "cut", "number"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
        st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[tuple[str, float, int, int]]) -> bytes:
    changed = bytearray(content)
    for kind, where, byte, number in edits:
        at = int(where * len(changed))
        if kind == "flip" and changed:
            changed[at] ^= byte
        elif kind == "insert":
            changed[at:at] = bytes([byte]) * (1 + byte % 9)
        elif kind == "delete":
            del changed[at : at + 1 + byte % 9]
        elif kind == "cut":
            del changed[at:]
        elif kind == "number":
            changed[at : at + 8] = struct.pack("<Q", number)
    return bytes(changed)


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_edited_file_is_read_or_refused(sample: Path, tmp_path: Path, edits: list[Any]) -> None:
    """Flipped, inserted, deleted and cut bytes either read (places inside the file) or are a GgufError."""
    path = tmp_path / "edited.gguf"
    path.write_bytes(edited(sample.read_bytes(), edits))
    try:
        header = read_header(path)
        for key, value in header.metadata.items():
            if isinstance(value, Array):
                assert len(header.array(key)) == value.length
    except GgufError as error:
        assert error.message.startswith(f"{path}: ")
        return
    assert all(lies_inside(tensor, header.size) for tensor in header.tensors)


def lies_inside(tensor: TensorInfo, size: int) -> bool:
    return 0 < tensor.offset < tensor.offset + (tensor.n_bytes or 1) <= size


def test_every_truncation_is_refused(sample: Path, tmp_path: Path) -> None:
    """A file cut after any number of bytes before its data's end is never taken for a whole one."""
    content = sample.read_bytes()
    last = read_header(sample).tensors[-1]
    assert last.n_bytes is not None
    for length in range(last.offset + last.n_bytes):
        refusal(tmp_path, content[:length])
    read(tmp_path, content[: last.offset + last.n_bytes])
