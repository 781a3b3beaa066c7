"""Where each token stands in the text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.engine.llama.model import LlamaModel
from llmcli.tokens.offsets import Token, locate
from llmcli.tokens.tokenizer import Tokenizer
from tests.tokens.conftest import LOSSLESS, REAL, Vocabularies, spellable

ALL = ["tiny", *REAL]

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2581"), max_size=40),
    st.text(" \n\tabAé한漢🦙-", max_size=40),
)

BROKEN = [b" ", b"  ", b"the", b"\n", b"\0", b"<s>", *map(str.encode, "\u2581한🦙")] + [
    bytes([byte]) for byte in b"a\xc3\xe2\xed\xf0\xff\x81\x96\xbf"
]
"""Pieces of texts that are no UTF-8: first bytes without the others, and others without a first one."""


def located(tokenizer: Tokenizer, text: bytes, *, parse_special: bool = True) -> list[Token]:
    return locate(tokenizer, text, tokenizer.encode(text, parse_special=parse_special))


def spans(tokenizer: Tokenizer, text: bytes) -> list[tuple[bytes, int, int]]:
    """The tokens that stand for something, with their byte spans."""
    return [(token.piece, token.start, token.end) for token in located(tokenizer, text)]


def in_order(tokens: list[Token], size: int) -> bool:
    """Whether the spans ascend without overlap within a text of `size` bytes."""
    borders = [at for token in tokens for at in (token.start, token.end)]
    return borders == sorted(borders) and all(0 <= at <= size for at in borders)


@pytest.mark.parametrize("name", ALL)
class TestEveryVocabulary:
    """What holds whatever the vocabulary."""

    @settings(max_examples=60, deadline=None)
    @given(texts)
    def test_spans_are_ordered(self, vocabularies: Vocabularies, name: str, text: str) -> None:
        """Spans ascend, do not overlap and stay within the text, in bytes and in characters."""
        tokens = located(vocabularies[name], text.encode())
        assert in_order(tokens, len(text.encode()))
        for token in tokens:
            assert 0 <= token.char_start <= token.char_end <= len(text)
            # The characters of a span are those that its bytes touch.
            before = len(text[: token.char_start].encode())
            assert before <= token.start <= token.end <= len(text[: token.char_end].encode())
        assert [token.index for token in tokens] == list(range(len(tokens)))

    @settings(max_examples=40, deadline=None)
    @given(st.binary(max_size=40))
    @example(b"a\xff\xfeb")
    @example(b"\xed\x95 \xed\x95\x9c\xed")
    def test_any_bytes(self, vocabularies: Vocabularies, name: str, data: bytes) -> None:
        """Also for bytes that are no UTF-8 the spans ascend within the text."""
        assert in_order(located(vocabularies[name], data), len(data))

    def test_added_tokens_stand_for_nothing(self, vocabularies: Vocabularies, name: str) -> None:
        """BOS and EOS that the model adds have start = end."""
        tokenizer = vocabularies[name]
        begin = len(tokenizer.encode(b"", eos=False))
        end = len(tokenizer.encode(b"", bos=False))
        tokens = located(tokenizer, b"hello world")
        for token in [*tokens[:begin], *tokens[len(tokens) - end :]]:
            assert token.start == token.end
            assert token.char_start == token.char_end
            assert token.special
        assert tokens[begin].start == 0
        assert tokens[len(tokens) - end - 1].end == len(b"hello world")

    def test_of_nothing(self, vocabularies: Vocabularies, name: str) -> None:
        """An empty text has only the tokens that are added."""
        assert all(token.start == token.end == 0 for token in located(vocabularies[name], b""))


@pytest.mark.parametrize("name", LOSSLESS)
class TestLossless:
    """Where the joined pieces are the text, the spans cover it."""

    @settings(max_examples=60, deadline=None)
    @given(texts)
    @example(" leading")
    @example("  two  spaces  ")
    @example("각 각")
    def test_spans_cover_the_text(self, vocabularies: Vocabularies, name: str, text: str) -> None:
        """Each span begins where the last one ended, and the bytes in it are the piece."""
        data = spellable(vocabularies[name], text).encode()
        tokens = located(vocabularies[name], data, parse_special=False)
        at = 0
        for token in tokens:
            if token.special:
                assert token.start == token.end
                continue
            assert token.start == at
            at = token.end
            assert data[token.start : token.end] in (token.piece, token.piece[1:])
        assert at == len(data)

    def test_special_tokens_written_in_the_text(self, vocabularies: Vocabularies, name: str) -> None:
        """A special token that stands in the text has the span of its name there."""
        tokenizer = vocabularies[name]
        special = next(s for s in tokenizer.special_tokens() if not s.strips_right)
        text = b"ab" + special.text + b" cd"
        (found,) = [token for token in located(tokenizer, text) if token.id == special.id and token.end]
        assert (found.start, found.end) == (2, 2 + len(special.text))
        assert found.special
        assert located(tokenizer, text)[-1].end == len(text)


class TestSentencePiece:
    """A vocabulary that puts a space before the text."""

    @pytest.mark.parametrize("name", ["llama-spm", "phi-3"])
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from(BROKEN), max_size=8).map(b"".join), st.booleans())
    @example(b"\xed a", False)
    @example(b" <s>", True)
    def test_spans_cover_any_bytes(
        self, vocabularies: Vocabularies, name: str, text: bytes, parse_special: bool
    ) -> None:
        """Spans leave no gap, also where a broken character takes some bytes of a space."""
        tokens = located(vocabularies[name], text, parse_special=parse_special)
        assert [token.start for token in tokens] == [0, *(token.end for token in tokens[:-1])]
        assert tokens[-1].end == len(text)

    def test_its_space_stands_for_nothing(self, vocabularies: Vocabularies) -> None:
        """The first token's span begins with the text, though its piece begins with a space."""
        assert spans(vocabularies["llama-spm"], b"hello world") == [
            (b"<s>", 0, 0),
            (b" hello", 0, 5),
            (b" world", 5, 11),
        ]

    def test_a_space_of_ones_own_has_a_place(self, vocabularies: Vocabularies) -> None:
        """A text that begins with a space keeps it in the spans."""
        found = spans(vocabularies["llama-spm"], b" hello")
        assert found[-1][2] == 6
        assert sum(end - start for _, start, end in found) == 6

    def test_behind_a_special_token_it_comes_again(self, vocabularies: Vocabularies) -> None:
        """SentencePiece puts the space also behind a special token in the text."""
        assert spans(vocabularies["llama-spm"], b"a</s>b") == [
            (b"<s>", 0, 0),
            (b" a", 0, 1),
            (b"</s>", 1, 5),
            (b" b", 5, 6),
        ]

    def test_bytes(self, vocabularies: Vocabularies) -> None:
        """A character without a token is its bytes; each has a byte of the text and the whole character."""
        tokens = [
            t for t in located(vocabularies["llama-spm"], "x🦙".encode()) if len(t.piece) == 1 and t.start
        ]
        assert [(t.start, t.end) for t in tokens] == [(1, 2), (2, 3), (3, 4), (4, 5)]
        assert {(t.char_start, t.char_end) for t in tokens} == {(1, 2)}

    def test_swallowed_white_space(self, vocabularies: Vocabularies) -> None:
        """Behind a special that strips, the next token begins after the white space."""
        found = spans(vocabularies["phi-3"], b"<|user|>\n hi<|end|>")
        assert found[1] == (b"<|user|>", 0, 8)
        assert found[-2][1:] == (10, 12)
        assert found[-1] == (b"<|end|>", 12, 19)


class TestBpe:
    """A byte-level vocabulary."""

    def test_bytes_that_are_no_utf_8(self, vocabularies: Vocabularies) -> None:
        """U+FFFD in the pieces stands for one byte of the text."""
        assert spans(vocabularies["gpt-2"], b"a\xffb") == [
            (b"a", 0, 1),
            ("\ufffd".encode(), 1, 2),
            (b"b", 2, 3),
        ]
        assert spans(vocabularies["gpt-2"], b"a\xff\xfeb")[1:] == [
            ("\ufffd\ufffd".encode(), 1, 3),
            (b"b", 3, 4),
        ]

    def test_a_replacement_character_of_ones_own(self, vocabularies: Vocabularies) -> None:
        """A U+FFFD that stands in the text is three bytes, also beside a bad one."""
        text = "\ufffd".encode() + b"\xff."
        assert spans(vocabularies["gpt-2"], text)[-1] == (b".", 4, 5)

    def test_a_character_over_several_tokens(self, vocabularies: Vocabularies) -> None:
        """Each token has its bytes; every one of them touches the whole character."""
        tokens = located(vocabularies["tiny"], "쀍x".encode())
        assert len(tokens) > 2
        assert [t.piece for t in tokens] == ["쀍x".encode()[t.start : t.end] for t in tokens]
        assert {(t.char_start, t.char_end) for t in tokens[:-1]} == {(0, 1)}
        assert (tokens[-1].char_start, tokens[-1].char_end) == (1, 2)
        assert tokens[0].text == "\ufffd"


def test_bytes_without_a_token(vocabularies: Vocabularies) -> None:
    """What the vocabulary can't spell belongs to no token; those behind it stand where they stand."""
    data = b"a\x03\x04 dog \x05cat"
    tokens = located(vocabularies["falcon"], data)
    assert [(t.piece, t.start, t.end) for t in tokens][-2:] == [(b" ", 7, 8), (b"cat", 9, 12)]
    assert b"".join(t.piece for t in tokens) == b"a dog cat"
    for token in tokens:
        assert data[token.start : token.end] in (token.piece, token.piece.lstrip())


class TestWordPiece:
    """A vocabulary that lowers case, takes accents off and drops spaces."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Hello World", ["Hello", "World"]),
            ("Café  au Paris", ["Café", "au", "Paris"]),
            ("漢字 ok", ["漢", "字", "ok"]),
            ("ok 각나 x 鿕鿕y!", ["ok", "각", "나", "x", "鿕", "鿕", "y", "!"]),
            ("a\u200db \x00c", ["a\u200db", "c"]),
            ("a.b", ["a", ".", "b"]),
            ("  x\t\ny ", ["x", "y"]),
            ("Cafe\u0301!", ["Cafe\u0301", "!"]),
        ],
    )
    def test_spans_are_the_words_as_written(
        self, vocabularies: Vocabularies, text: str, expected: list[str]
    ) -> None:
        """Accents, capitals and Chinese characters are found where they stand in the text."""
        data = text.encode()
        begin, *tokens, end = located(vocabularies["bert-bge"], data)
        assert begin.end == 0
        assert end.start == end.end
        assert [data[t.start : t.end].decode().strip() for t in tokens] == expected
        assert [text[t.char_start : t.char_end].strip() for t in tokens] == expected

    def test_word_pieces(self, vocabularies: Vocabularies) -> None:
        """A word of several pieces is covered by them without a gap."""
        data = b"Tokenization UNBELIEVABLENESS"
        tokens = [t for t in located(vocabularies["bert-bge"], data) if not t.special]
        assert len(tokens) > 2
        assert b"".join(data[t.start : t.end] for t in tokens) == data.replace(b" ", b"")


@pytest.mark.parametrize(
    ("bos", "parse_special", "expected"),
    [
        (None, True, [(0, 0), (0, 3), (3, 4), (4, 5)]),
        (False, True, [(0, 3), (3, 4), (4, 5)]),
        (None, False, [(0, 0), (0, 0), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
    ],
)
def test_a_text_that_begins_as_bos_is_spelled(
    stories: Path, bos: bool | None, parse_special: bool, expected: list[tuple[int, int]]
) -> None:
    """The BOS that is added stands for no text, the one in the text for its spelling."""
    with LlamaModel(stories, vocab_only=True) as model:
        ids = model.vocabulary.encode(b"<s>ab", bos=bos, parse_special=parse_special)
        spans = [(token.start, token.end) for token in locate(model.vocabulary, b"<s>ab", ids)]
    assert spans == expected


def test_the_sign_that_sentencepiece_has_for_a_space(stories: Path) -> None:
    """U+2581 in a text becomes a space, and has a place all the same: a graph made of such signs, say."""
    text = "a▁b ▁▁c".encode()
    with LlamaModel(stories, vocab_only=True) as model:
        found = locate(model.vocabulary, text, model.vocabulary.encode(text, bos=False))
    assert [token.start for token in found[1:]] == [token.end for token in found[:-1]]
    assert (found[0].start, found[-1].end) == (0, len(text))
