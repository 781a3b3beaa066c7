"""A GGUF's vocabulary through llama.cpp: the ids that llama.cpp's own tests expect, on any bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.tokens.tokenizer import SpecialToken, decode
from tests.engine.vocabularies import VOCABULARIES
from tests.models import CHATML

SEPARATOR = b"\n__ggml_vocab_test__\n"


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_are_llama_cpps(shared: Path, name: str) -> None:
    """Every text of the .inp file has exactly the ids of the .out file, nothing added or parsed."""
    path = shared / "vocabs" / f"ggml-vocab-{name}.gguf"
    texts = path.with_suffix(".gguf.inp").read_bytes().split(SEPARATOR)
    lines = path.with_suffix(".gguf.out").read_text().split("\n")[: len(texts)]
    assert len(texts) == len(lines) > 40
    with LlamaModel(path, vocab_only=True) as model:
        for text, line in zip(texts, lines, strict=True):
            ids = model.vocabulary.encode(text, parse_special=False, bos=False, eos=False)
            assert ids == [int(word) for word in line.split()], text


def test_every_vocabulary_here_is_tested(vocab_files: list[Path]) -> None:
    """The list names all that the shared folder has."""
    assert [path.stem.removeprefix("ggml-vocab-") for path in vocab_files] == VOCABULARIES


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_piece_can_be_read(shared: Path, name: str) -> None:
    """Each token of the vocabulary, however long, has bytes, a kind and an end-of-reply answer."""
    with LlamaModel(shared / "vocabs" / f"ggml-vocab-{name}.gguf", vocab_only=True) as model:
        vocabulary = model.vocabulary
        pieces = [vocabulary.piece(i) for i in range(0, vocabulary.n_tokens, 7)]
        assert max(map(len, pieces)) > 12
        assert any(map(vocabulary.is_special, range(vocabulary.n_tokens)))
        assert any(map(vocabulary.ends_reply, range(vocabulary.n_tokens)))


def test_pieces_longer_than_the_first_buffer(shared: Path) -> None:
    """A piece of more than 32 bytes comes whole."""
    with LlamaModel(shared / "vocabs" / "ggml-vocab-qwen2.gguf", vocab_only=True) as model:
        lengths = [len(model.vocabulary.piece(i)) for i in range(model.vocabulary.n_tokens)]
        assert sum(length > 32 for length in lengths) == 240


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        ("llama-spm", [1], []),
        ("phi-3", [1], []),
        ("llama-bpe", [128000], []),
        ("gpt-2", [], []),
        ("qwen2", [], []),
        ("bert-bge", [101], [102]),
    ],
)
def test_bos_and_eos_as_the_model_asks(shared: Path, name: str, begin: list[int], end: list[int]) -> None:
    """By default what the model asks for is added, also around nothing; switched off, nothing is."""
    with LlamaModel(shared / "vocabs" / f"ggml-vocab-{name}.gguf", vocab_only=True) as model:
        encode = model.vocabulary.encode
        bare = encode(b"hello", bos=False, eos=False)
        assert encode(b"hello") == [*begin, *bare, *end]
        assert encode(b"") == [*begin, *end]
        assert encode(b"", bos=False, eos=False) == []


def test_bos_and_eos_where_asked_for(shared: Path) -> None:
    """Both can be added to a vocabulary that has them but does not ask for them."""
    with LlamaModel(shared / "vocabs" / "ggml-vocab-gpt-2.gguf", vocab_only=True) as model:
        encode = model.vocabulary.encode
        assert encode(b"hi", bos=True, eos=True) == [50256, *encode(b"hi"), 50256]


class TestTinyModel:
    """The vocabulary that the other tests stand on."""

    def test_is_what_it_should_be(self, engine: LlamaEngine) -> None:
        """ChatML's control tokens, user-defined thinking tags, no BOS, no space before the text."""
        tokenizer = engine.tokenizer
        assert tokenizer.special_tokens() == [
            SpecialToken(480, b"<|endoftext|>"),
            SpecialToken(481, b"<|im_start|>"),
            SpecialToken(482, b"<|im_end|>"),
        ]
        assert tokenizer.encode(b"") == []
        assert not tokenizer.adds_space_prefix
        assert [i for i in range(485) if tokenizer.ends_reply(i)] == [480, 482]
        assert engine.model.chat_template == CHATML
        assert engine.context_size == engine.model.context_length == 512

    def test_special_tokens_are_parsed_on_request(self, engine: LlamaEngine) -> None:
        """<|im_end|> is one id or plain text; a user-defined token is one id either way."""
        encode = engine.tokenizer.encode
        assert encode(b"<|im_end|>") == [482]
        assert 482 not in encode(b"<|im_end|>", parse_special=False)
        assert encode(b"<think>") == encode(b"<think>", parse_special=False) == [483]
        assert not engine.tokenizer.is_special(483)

    @pytest.mark.parametrize("text", ["", "\x00a\x00", "한국어 🦙", " a  b ", "\r\n\t", "a" * 70_000])
    def test_text_comes_back(self, engine: LlamaEngine, text: str) -> None:
        """NUL, Korean, emoji, white space and a very long word survive the way there and back."""
        ids = engine.tokenizer.encode(text.encode())
        assert decode(engine.tokenizer, ids) == text.encode()
