"""Where tokens stand in a text that their vocabulary changes first, and in one of characters alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.tokens.normalized import unigram_spans
from llmcli.tokens.offsets import locate
from llmcli.tokens.tokenizer_json import JsonTokenizer, load_tokenizer_json
from tests.tokenizers import FAMILIES, LOSSLESS, make_tokenizer_json
from tests.tokens.conftest import Vocabularies

texts = st.text(" \nabAé한漢ﬁ🦙-", max_size=30)


@cache
def load(folder: Path, family: str) -> JsonTokenizer:
    return load_tokenizer_json(make_tokenizer_json(folder / family, family, template="<s> $A </s>"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tokenizer.json files of this file lie."""
    return tmp_path_factory.mktemp("offsets")


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(text=texts, parse=st.booleans())
@example(text="a<s> b</s>", parse=False)
@example(text="a<think> b</s>", parse=True)
def test_a_tokenizer_json(folder: Path, family: str, text: str, parse: bool) -> None:
    """Spans ascend within the text; where the vocabulary loses nothing, they cover it."""
    tokenizer, data = load(folder, family), text.encode()
    tokens = locate(tokenizer, data, tokenizer.encode(data, parse_special=parse))
    assert (tokens[0].start, tokens[0].end) == (0, 0)
    assert tokens[-1].start == tokens[-1].end == len(data)
    starts = [token.start for token in tokens]
    assert starts == sorted(starts)
    if family in LOSSLESS:
        at = 0
        for token in tokens[1:-1]:
            assert token.start == at
            at = token.end
            assert data[token.start : token.end] in (token.piece, token.piece[1:])
        assert at == len(data)


@pytest.mark.parametrize("family", LOSSLESS)
def test_bytes_that_are_no_utf_8(folder: Path, family: str) -> None:
    """A byte that became U+FFFD is one byte of the text."""
    tokenizer = load(folder, family)
    data = b"a\xff\xe2 b\xed"
    tokens = locate(tokenizer, data, tokenizer.encode(data))
    assert [data[t.start : t.end] for t in tokens if b"b" in t.piece] in ([b" b"], [b"b"])
    assert tokens[-2].end == len(data)


def test_a_ligature_is_found(folder: Path) -> None:
    """What NFKC takes apart stands for the one character that it was, and nothing is left out."""
    tokenizer = load(folder, "unigram")
    data = "aﬁb".encode()
    tokens = locate(tokenizer, data, tokenizer.encode(data))
    assert {at for t in tokens for at in range(t.char_start, t.char_end)} == {0, 1, 2}
    assert {(t.start, t.end) for t in tokens if t.piece in (b"f", b"i")} <= {(1, 4)}


class TestUnigram:
    """A Unigram vocabulary's pieces in a text of compatible characters."""

    @pytest.mark.parametrize(
        ("text", "pieces", "expected"),
        [
            ("Café  ﬁne", [" Café", " fi", "ne"], ["Café", "  ﬁ", "ne"]),
            ("ﬁ", [" f", "i"], ["ﬁ", "ﬁ"]),
            ("e\u0301x", [" é", "x"], ["e\u0301", "x"]),
            ("a\u3000ｂ", [" a", " b"], ["a", "\u3000ｂ"]),
            ("", [], []),
        ],
    )
    def test_spans_are_the_characters_as_written(
        self, text: str, pieces: list[str], expected: list[str]
    ) -> None:
        """Ligatures, wide letters and accents are found where they stand."""
        data = text.encode()
        spans = unigram_spans(data, [p.encode() for p in pieces], [False] * len(pieces))
        assert spans is not None
        assert [data[a:b].decode() for a, b in spans] == expected

    def test_an_unknown_word(self) -> None:
        """The unknown token stands for what lies before the next piece."""
        data = "a ϕϕ b".encode()
        spans = unigram_spans(data, [b" a", b" ", b"<unk>", b" b"], [False, False, True, False])
        assert spans is not None
        assert [data[a:b] for a, b in spans][2:] == ["ϕϕ".encode(), b" b"]

    def test_pieces_of_another_text(self) -> None:
        """What does not fit has no spans."""
        assert unigram_spans(b"abc", [b" x"], [False]) is None


def test_a_long_run_of_unknown_words(vocabularies: Vocabularies) -> None:
    """Twenty thousand words that WordPiece can't spell have a span each."""
    data = "🦙 ".encode() * 20_000
    tokenizer = vocabularies["bert-bge"]
    tokens = [t for t in locate(tokenizer, data, tokenizer.encode(data)) if t.end > t.start]
    assert {t.end - t.start for t in tokens} == {4}
    assert [t.start for t in tokens] == list(range(0, len(data), 5))


def test_specials_and_unknown_words(vocabularies: Vocabularies) -> None:
    """A special token in the text and a word that is unknown beside each other."""
    data = "a 🦙 [SEP] 🦙b [UNK] c".encode()
    tokenizer = vocabularies["bert-bge"]
    tokens = locate(tokenizer, data, tokenizer.encode(data))
    assert [data[t.start : t.end].decode() for t in tokens[1:-1]] == ["a", "🦙", "[SEP]", "🦙b", "[UNK]", "c"]


def test_a_character_in_more_bytes_than_it_needs(vocabularies: Vocabularies) -> None:
    """llama.cpp reads it as a character; its bytes are the token's all the same."""
    data = b"x\xc1\xa1 y"
    tokens = locate(vocabularies["gpt-2"], data, vocabularies["gpt-2"].encode(data))
    assert (tokens[-1].start, tokens[-1].end) == (3, 5)
