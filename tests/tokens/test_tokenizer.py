"""Text to ids and back, and Python text to bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.errors import InputError, UsageError
from llmcli.tokens.tokenizer import decode, to_bytes
from tests.tokens.conftest import LOSSLESS, Vocabularies, spellable

# U+2581 is how SentencePiece itself writes a space: it can't be told from one.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=60),
    st.text(" \nab한漢🦙é<|>/s", max_size=60),
)


@pytest.mark.parametrize("name", LOSSLESS)
class TestDecode:
    """`decode` is the way back from `encode`."""

    @settings(max_examples=60, deadline=None)
    @given(texts)
    @example(" leading space")
    @example("  two")
    @example("trailing ")
    @example("\x00\r\n\t")
    @example("👩‍👩‍👧‍👦 🇰🇷 각 각")
    def test_gives_the_text_back(self, vocabularies: Vocabularies, name: str, text: str) -> None:
        """Any text, tokenized and decoded, is the same bytes, with or without BOS and EOS around it."""
        tokenizer = vocabularies[name]
        data = spellable(tokenizer, text).encode()
        ids = tokenizer.encode(data, parse_special=False, bos=False, eos=False)
        assert decode(tokenizer, ids) == data
        assert decode(tokenizer, tokenizer.encode(data, parse_special=False)) == data

    @settings(max_examples=30, deadline=None)
    @given(st.binary(max_size=40))
    @example(b"\xf4\x90\x80\x80")
    @example(b"\xc0\xa0")
    @example(b"\xed\xa0\x80")
    def test_bytes_that_are_no_utf_8(self, vocabularies: Vocabularies, name: str, data: bytes) -> None:
        """SentencePiece gives any bytes back; BPE what llama.cpp takes them for, which then comes back."""
        tokenizer = vocabularies[name]
        if name == "falcon":
            return  # it lacks tokens for some bytes
        back = decode(tokenizer, tokenizer.encode(data, parse_special=False, bos=False, eos=False))
        valid = data.decode("utf-8", "ignore").encode() == data
        if valid and b"\xe2\x96\x81" not in data:
            assert back == data
        elif not tokenizer.adds_space_prefix:
            assert (
                decode(tokenizer, tokenizer.encode(back, parse_special=False, bos=False, eos=False)) == back
            )

    def test_special_tokens_are_their_names(self, vocabularies: Vocabularies, name: str) -> None:
        """A special token decodes to its name, and nothing is taken off before or after it."""
        tokenizer = vocabularies[name]
        added = tokenizer.encode(b"")
        special = next(s for s in tokenizer.special_tokens() if s.id not in added)
        assert decode(tokenizer, [special.id]) == special.text
        assert decode(tokenizer, [special.id] * 2) == special.text * 2

    def test_ids_outside_the_vocabulary(self, vocabularies: Vocabularies, name: str) -> None:
        """The first id that does not exist is named."""
        tokenizer = vocabularies[name]
        with pytest.raises(UsageError, match=f"token id {tokenizer.n_tokens} is not in the vocabulary"):
            decode(tokenizer, [1, tokenizer.n_tokens])


def test_the_space_of_sentencepiece(vocabularies: Vocabularies) -> None:
    """Only the one space that the vocabulary itself puts before a text is taken off, also behind a BOS."""
    tokenizer = vocabularies["llama-spm"]
    assert tokenizer.adds_space_prefix
    for text in (b"a", b" a", b"  a"):
        assert decode(tokenizer, tokenizer.encode(text, bos=False)) == text
    assert decode(tokenizer, tokenizer.encode(b" a", bos=True)) == b" a"


def test_nothing_decodes_to_nothing(vocabularies: Vocabularies) -> None:
    """No ids are no bytes."""
    assert decode(vocabularies["tiny"], []) == b""


class TestToBytes:
    """Python's text to the bytes that it came from."""

    @given(st.binary())
    def test_gives_back_what_python_read(self, data: bytes) -> None:
        """Bytes that were no UTF-8 when Python read them come out as they were."""
        assert to_bytes(data.decode("utf-8", "surrogateescape")) == data

    @pytest.mark.parametrize(("text", "at"), [("\ud800", 0), ("ab\udfff", 2), ("한\ud83e x", 1)])
    def test_a_lone_surrogate_is_an_error(self, text: str, at: int) -> None:
        """Half a character from JSON is named with its place, and nothing is put in its stead."""
        with pytest.raises(InputError, match=f"line 3 holds a lone surrogate .*at character {at}") as caught:
            to_bytes(text, "line 3")
        assert f"U+{ord(text[at]):04X}" in caught.value.message
