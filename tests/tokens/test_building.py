"""gigatoken built ahead: for what is known to be long enough, and never in the way."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from llmcli.gguf.header import read_header
from llmcli.tokens.building import Ahead, worth_building
from llmcli.tokens.bulk import gguf_bulk_encoder
from llmcli.tokens.records import Source, whole
from llmcli.tokens.ways import ways_of
from tests.models import make_model
from tests.tokens.conftest import Vocabularies

ENOUGH = 1 << 30


def test_what_was_built_is_used(vocabularies: Vocabularies) -> None:
    """It is not built a second time, and the ids are llama.cpp's."""
    vocabulary = vocabularies["tiny"]
    ahead = Ahead(ENOUGH, None)
    ahead.begin(vocabulary.header())
    found = ways_of(vocabulary, parse_special=True, ahead=ahead).build_fast()
    assert found is not None
    assert found._backend is ahead.backend() is not None
    assert not found.knows(b"one <|im_end|> two")

    text = b"The quick brown fox's 12 dogs <|im_end|> and \xff more\n" * 2_000
    encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=True, eos=False, ahead=ahead)
    encoder.expect(ENOUGH)
    counts = list(encoder.count(whole(Source(BytesIO(text), "x"), encoder.cuts, 1 << 15), 2, ENOUGH))
    assert len(counts) > 2
    assert sum(part.n_ids for part in counts) == len(vocabulary.encode(text, bos=True))


def test_where_it_does_not_pay(vocabularies: Vocabularies) -> None:
    """A text that is short, or that nobody knows the length of."""
    vocabulary = vocabularies["tiny"]
    for n_bytes in (0, worth_building(vocabulary.n_tokens) - 1):
        ahead = Ahead(n_bytes, None)
        ahead.begin(vocabulary.header())
        assert ahead.backend() is None
    ahead = Ahead(worth_building(vocabulary.n_tokens), None)
    ahead.begin(vocabulary.header())
    assert ahead.backend() is not None


def test_where_memory_is_limited(vocabularies: Vocabularies) -> None:
    """gigatoken ends the process that finds no memory: where there is a limit, that is left to helpers."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    ahead = Ahead(ENOUGH, None)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 45, before[1]))
        ahead.begin(vocabularies["tiny"].header())
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert ahead.backend() is None


def test_other_vocabularies(tmp_path: Path) -> None:
    """SentencePiece, whose definition depends on what llama.cpp says, and patterns that gigatoken lacks."""
    sentence_piece = make_model(tmp_path / "sentence-piece.gguf", tokenizer="llama")
    bloom = make_model(tmp_path / "bloom.gguf", pre="bloom")
    for path in (sentence_piece, bloom):
        ahead = Ahead(ENOUGH, None)
        ahead.begin(read_header(path))
        assert ahead.backend() is None


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """Then nothing comes of it; that the file is no sound one is for others to say."""
    path = make_model(tmp_path / "model.gguf")
    header = read_header(path)
    path.write_bytes(b"")
    ahead = Ahead(ENOUGH, None)
    ahead.begin(header)
    assert ahead.backend() is None
