"""The header of a GGUF file, read as the reference reader does."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import gguf
import pytest

from llmcli.errors import GgufError
from llmcli.gguf import types
from llmcli.gguf.header import Array, Header, read_header
from tests.gguf.written import text, write_sample

SHARED = Path(os.environ.get("LLMCLI_TEST_DATA") or Path(__file__).parents[3] / "shared")
REAL_FILES = sorted([*SHARED.glob("vocabs/*.gguf"), *SHARED.glob("models/*.gguf")])


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
