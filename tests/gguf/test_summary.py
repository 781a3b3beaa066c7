"""A GGUF file at a glance says what its whole header says, of however little of the file it reads."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcli.errors import GgufError
from llmcli.gguf.cursor import Cursor
from llmcli.gguf.header import read_header
from llmcli.gguf.summary import summarize

LARGE = 150_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a vocabulary of 150,000 tokens and two tensors."""
    path = tmp_path_factory.mktemp("models") / "large.gguf"
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(4096)
    out.add_size_label("7B")
    out.add_token_list([f"token {n}" for n in range(LARGE)])
    out.add_token_merges(["a b"] * LARGE)
    out.add_chat_template("{{ messages }}")
    out.add_file_type(15)
    for name in ("a", "b"):
        out.add_tensor_info(name, (64, 64), np.dtype(np.float32), 64 * 64 * 4)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    out.close()
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 31 + 2 * 64 * 64 * 4)
    return path


def test_the_beginning_is_enough(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file names its size, the vocabulary is not read."""
    monkeypatch.setattr(Cursor, "skip_texts", lambda *_: pytest.fail("read the vocabulary"))
    summary = summarize(large)
    assert (summary.size_label, summary.context_length, summary.parameters) == ("7B", 4096, None)


def test_to_the_end(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters are counted, and not a token of the vocabulary is looked at."""
    expected = sum(tensor.n_elements for tensor in read_header(large).tensors)
    monkeypatch.setattr(Cursor, "skip_texts", lambda *_: pytest.fail("read the vocabulary"))
    summary = summarize(large, to_the_end=True)
    assert (summary.parameters, summary.quantization) == (expected, "Q4_K_M") == (8192, "Q4_K_M")


def test_a_short_file(large: Path, tmp_path: Path) -> None:
    """Its last tensor reaches over its end."""
    short = tmp_path / "short.gguf"
    short.write_bytes(large.read_bytes()[:-5000])
    with pytest.raises(GgufError, match="early: a half download"):
        summarize(short, to_the_end=True)


def test_a_vocabulary_that_looks_like_metadata(tmp_path: Path) -> None:
    """What the leap over the tokens lands on must fit to the last tensor; else every token is read."""
    path = tmp_path / "strange.gguf"
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(512)
    tokens = [f"token {n}" for n in range(2000)]
    tokens[1500] = "tokenizer.chat"
    out.add_token_list(tokens)
    out.add_file_type(7)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.close()
    assert summarize(path, to_the_end=True).quantization == "Q8_0"


@pytest.mark.parametrize("to_the_end", [False, True])
def test_real_files(vocab_files: list[Path], to_the_end: bool) -> None:
    """Real vocabularies are leapt over to the right place."""
    for path in vocab_files:
        header, summary = read_header(path), summarize(path, to_the_end=to_the_end)
        architecture = header.metadata["general.architecture"]
        assert summary.architecture == architecture
        assert summary.context_length == header.metadata[f"{architecture}.context_length"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), n_changes=st.integers(1, 20), cut=st.booleans())
def test_damaged_files(tiny_model: Path, tmp_path: Path, seed: int, n_changes: int, cut: bool) -> None:
    """Whatever is in a file, it is summed up or refused; what `read_header` takes is summed up alike."""
    rng = random.Random(seed)
    data = bytearray(tiny_model.read_bytes()[:20_000] if cut else tiny_model.read_bytes())
    for _ in range(n_changes):
        data[rng.randrange(12_000)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        summary = summarize(path, to_the_end=True)
    except GgufError:
        with pytest.raises(GgufError):
            read_header(path)
        return
    try:
        header = read_header(path)
    except GgufError:
        return
    assert summary.parameters == sum(tensor.n_elements for tensor in header.tensors)


def hostile(version: int, n_tensors: int, n_entries: int) -> bytes:
    """The first 24 bytes of a file, and nothing to keep their promises."""
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_entries) + bytes(1000)


@pytest.mark.parametrize("version", [0, 1, 4, 99])
def test_other_versions(tmp_path: Path, version: int) -> None:
    """They are refused by their number."""
    (tmp_path / "m.gguf").write_bytes(hostile(version, 0, 0))
    with pytest.raises(GgufError, match=f"GGUF version {version} "):
        summarize(tmp_path / "m.gguf")


@pytest.mark.parametrize(("n_tensors", "n_entries"), [(2**63, 0), (0, 2**63), (2**64 - 1, 2**64 - 1)])
def test_impossible_counts(tmp_path: Path, n_tensors: int, n_entries: int) -> None:
    """A count that the file can't hold is refused before anything is counted."""
    (tmp_path / "m.gguf").write_bytes(hostile(3, n_tensors, n_entries))
    with pytest.raises(GgufError, match="claims"):
        summarize(tmp_path / "m.gguf")
