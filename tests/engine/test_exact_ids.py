"""The ids are llama.cpp's own, on any bytes: held against its C function, called without anything of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.engine.llama.deep_stack import call_deep, longest_unbroken
from llmcli.engine.llama.library import lib
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.tokens.tokenizer import decode
from tests.tokens.conftest import LOSSLESS, REAL, Vocabularies, spellable
from tests.tokens.conftest import vocabularies as vocabularies

ALL = ["tiny", *REAL]
# Bytes that end the process are left out: the vocabulary replaces them before llama.cpp sees them.
DEADLY = (0xC0, 0xE0, 0xF0, 0xF4, 0xF5, 0xF6, 0xF7)

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(str.encode),
    st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Mn"]), max_size=20).map(str.encode),
    st.binary(max_size=30).map(lambda data: bytes(byte for byte in data if byte not in DEADLY)),
)


def raw_ids(vocabulary: LlamaVocabulary, text: bytes, parse_special: bool) -> list[int]:
    """What llama_tokenize writes into a buffer that is large enough."""
    buffer = (lib.llama_token * (4 * len(text) + 16))()
    n = lib.llama_tokenize(
        vocabulary.pointer,
        text,
        len(text),
        buffer,
        len(buffer),
        False,
        parse_special,
    )
    assert n >= 0
    return list(buffer[:n])


@pytest.mark.parametrize("name", ALL)
class TestExactIds:
    """Every vocabulary at hand."""

    @settings(max_examples=60, deadline=None)
    @given(text=texts, parse=st.booleans())
    @example(text="\u2581 \u0085\u3000\ufeffa".encode(), parse=True)
    @example(text=b"\xff\xfe\xed\xa0\x80", parse=True)
    def test_on_any_bytes(self, vocabularies: Vocabularies, name: str, text: bytes, parse: bool) -> None:
        """Random characters, controls, marks and bytes."""
        ids = vocabularies[name].encode(text, parse_special=parse, bos=False, eos=False)
        assert ids == raw_ids(vocabularies[name], text, parse)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_around_special_tokens(self, vocabularies: Vocabularies, name: str, data: st.DataObject) -> None:
        """Special and user-defined tokens, one behind the other, with text and spaces between them."""
        parsed = [token.text for token in vocabularies[name].parsed_tokens(parse_special=True)]
        words = st.one_of(st.sampled_from(parsed), st.sampled_from([b" ", b"\n", b"a", b" the", b"<", b"|>"]))
        text = b"".join(data.draw(st.lists(words, max_size=8)))
        parse = data.draw(st.booleans())
        ids = vocabularies[name].encode(text, parse_special=parse, bos=False, eos=False)
        assert ids == raw_ids(vocabularies[name], text, parse)

    def test_every_special_token_is_one(self, vocabularies: Vocabularies, name: str) -> None:
        """Each special token's text is its id, where no other has the same text."""
        vocabulary = vocabularies[name]
        for token in vocabulary.special_tokens():
            assert vocabulary.encode(token.text, bos=False, eos=False) == raw_ids(
                vocabulary, token.text, True
            )


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_text_around_added_tokens_comes_back(
    vocabularies: Vocabularies, name: str, data: st.DataObject
) -> None:
    """Decoding gives the bytes back, also behind tokens that are always parsed and swallow no space."""
    vocabulary = vocabularies[name]
    own = [t for t in vocabulary.parsed_tokens(parse_special=True) if not (t.strips_left or t.strips_right)]
    added = set(vocabulary.encode(b""))
    names = [t.text for t in own if t.id not in added]
    words = st.one_of(st.sampled_from(names), st.sampled_from([b" ", b"a", b" the", "한".encode(), b"\n"]))
    text = b"".join(data.draw(st.lists(words, max_size=8)))
    if spellable(vocabulary, text.decode()).encode() == text or "falcon" not in vocabulary.name:
        assert decode(vocabulary, vocabulary.encode(text)) == text


@pytest.mark.parametrize("name", ["deepseek-coder", "llama-spm", "qwen2", "bert-bge"])
def test_a_megabyte_without_a_space(vocabularies: Vocabularies, name: str) -> None:
    """It goes through, with llama.cpp's own ids."""
    text = "한글abc".encode() * (1_000_000 // 9)
    ids = vocabularies[name].encode(text, bos=False, eos=False)
    raw = call_deep(lambda: raw_ids(vocabularies[name], text, True), longest_unbroken(text))
    assert ids == raw


def test_every_vocabulary_here_is_tested(vocab_files: list[Path]) -> None:
    """The list above names all that the shared folder has."""
    assert {path.stem.removeprefix("ggml-vocab-") for path in vocab_files} <= set(ALL)
