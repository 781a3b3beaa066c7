"""Files that are no GGUF, or hardly: named, refused in bounded time, never a crash."""

from __future__ import annotations

import errno
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcli.errors import GgufError
from llmcli.gguf.header import Array, TensorInfo, read_header
from tests.gguf.written import array, entry, file_of, read, refusal, write_sample

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
