"""The bulk road gives llama.cpp's own ids: cut anywhere it may be cut, and by gigatoken where it is used."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.tokens.batch import Batch, merged
from llmcli.tokens.bulk import BulkEncoder, gguf_bulk_encoder
from llmcli.tokens.cuts import NEWLINES, SPACES_AND_NEWLINES, Cuts
from llmcli.tokens.definition import PRE_TOKENIZERS
from llmcli.tokens.fast import FastTokenizer
from llmcli.tokens.records import Source, separated, whole
from llmcli.tokens.tokenizer import SpecialToken
from llmcli.tokens.ways import Ways, ways_of
from tests.models import make_model
from tests.tokens.conftest import REAL, Vocabularies

SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MARKS = ["<|endoftext|>", "<|im_end|>", "<s>", "</s>", "<unk>", "[SEP]", "<think>", "<|end|>", "<|eot_id|>"]
WORDS = [
    *(
        "the",
        "don't",
        "I'LL",
        "x'S",
        "Hello",
        "한국어",
        "日本語の",
        "中文",
        "Привет",
        "naïve",
        "𝔘",
        "🦙",
        "👩‍👩‍👧",
    ),
    *(
        "12345",
        "3.14",
        "0x1F",
        "٣٤",
        "½",
        "!!",
        "/",
        "//",
        "({[",
        "'",
        '"',
        "--",
        "_",
        "\u2581",
        "\ufffd",
        "\ufeff",
        "。",
        "、",
        "「",
        "”",
        "—",
        "…",
        "\U0010ffff",
    ),
    *(
        "\x00",
        "\x1b[0m",
        "\x7f",
        "\u0301",
        "\u200b",
        "ſ",
        "K",
        "\u0378",
        "\ua7cb",
        "\U00010d40",
        "\U000323b0",
    ),
]
SPACES = [" ", "  ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "\u3000", "\u00a0", "\u2028", "\x85", "\v", ""]
texts = st.one_of(
    st.lists(st.sampled_from([*WORDS, *SPACES * 3, *MARKS]), max_size=40).map("".join).map(str.encode),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "ignore")),
    st.lists(st.sampled_from([*WORDS, *SPACES]).map(str.encode) | st.binary(max_size=4), max_size=20).map(
        b"".join
    ),
)


class Roads:
    """A vocabulary with the ways that were found for it."""

    def __init__(self, vocabulary: LlamaVocabulary, *, parse_special: bool = True) -> None:
        self.vocabulary, self.parse_special = vocabulary, parse_special
        self.ways = ways_of(vocabulary, parse_special=parse_special)
        self.fast = self.ways.build_fast()

    def straight(self, text: bytes) -> list[int]:
        """What llama.cpp gives for the text whole."""
        return self.vocabulary.encode(text, parse_special=self.parse_special, bos=False, eos=False)

    def in_parts(self, text: bytes) -> list[int]:
        """What it gives for the text cut wherever it may be cut."""
        assert self.ways.cuts is not None
        first, *rest = self.ways.cuts.parts(text, 1)
        assert b"".join([first, *rest]) == text
        ids = self.straight(first)
        for part in rest:
            ids += self.ways.cuts.encode_rest(self._own, part).tolist()
        return ids

    def _own(self, text: bytes) -> np.ndarray:
        return self.vocabulary.encode_array(text, parse_special=self.parse_special)


@pytest.fixture(scope="module")
def roads(vocabularies: Vocabularies) -> Callable[[str, bool], Roads]:
    """The ways of a vocabulary, found once."""
    found: dict[tuple[str, bool], Roads] = {}

    def get(name: str, parse_special: bool) -> Roads:
        key = name, parse_special
        if key not in found:
            found[key] = Roads(vocabularies[name], parse_special=parse_special)
        return found[key]

    return get


@pytest.mark.parametrize("name", ["tiny", *REAL])
@SOME
@given(text=texts, parse_special=st.booleans())
@example(b"a<|endoftext|> b\n<s> c <|end|>  \n d</s>\ne", True)
@example(b"one two\nthree  four \n five\n\nsix\r\nseven", True)
@example(b"\xf0 ab cd\n\xe4\xb8 x\nyz \xc3 \xe2\x96\x81 \xe2\x96 w", False)
@example("中文。\n第二 行\n/* x */\n!\n/".encode(), True)
def test_cutting_changes_no_id(
    roads: Callable[[str, bool], Roads], name: str, text: bytes, parse_special: bool
) -> None:
    """A text cut at every place where it may be cut gives the ids of the text whole."""
    road = roads(name, parse_special)
    assert road.in_parts(text) == road.straight(text)


@pytest.mark.parametrize("name", ["tiny", "gpt-2", "llama-bpe", "qwen2", "llama-spm", "phi-3"])
@SOME
@given(text=texts)
@example("I'LL ſ's K's don't 'Sx 12345 \u0378's x\U0001d518's".encode())
@example(b"  two\n\n\n  three \r\n\t!\n\n ?")
def test_gigatoken_gives_the_same_ids(roads: Callable[[str, bool], Roads], name: str, text: bytes) -> None:
    """Wherever the fast way says that it knows a text, its ids are llama.cpp's."""
    road = roads(name, True)
    assert road.fast is not None
    if road.fast.knows(text):
        assert road.fast.encode(text).tolist() == road.straight(text)
        assert b"\xf4\x8f\xbf\xbf" not in text


@pytest.mark.parametrize("name", ["gpt-2", "llama-bpe"])
def test_characters_are_classed_alike(roads: Callable[[str, bool], Roads], name: str) -> None:
    """Every 29th code point, and each at which a class begins: letter, digit or neither, it is the same."""
    road = roads(name, True)
    assert road.fast is not None
    points = [*range(0x80, 0x110000, 29), 0x378, 0x17F, 0x212A, 0xA7CA, 0xA7F2, 0x1D7FF, 0x2A6D6]
    characters = [chr(point) for point in points if not 0xD800 <= point <= 0xDFFF]
    for at in range(0, len(characters), 500):
        text = "".join(f"{c}'s {c} x{c}1{c}{c}\n" for c in characters[at : at + 500]).encode()
        for line in [text] if road.fast.knows(text) else text.splitlines(keepends=True):
            if road.fast.knows(line):
                assert road.fast.encode(line).tolist() == road.straight(line)


@pytest.mark.parametrize("unknown", ["\u088f", "\ua7cb", "\U00010d40", "\U000323b0", "<|endoftext|>"])
def test_what_the_fast_way_does_not_know(roads: Callable[[str, bool], Roads], unknown: str) -> None:
    """New letters, special tokens and bytes that are no UTF-8 are left to llama.cpp."""
    fast = roads("gpt-2", True).fast
    assert fast is not None
    assert fast.knows("a 한국어 🦙 𝔘 b".encode())
    assert not fast.knows(f"a {unknown} b".encode())
    assert not fast.knows(b"a \xff b")


@pytest.mark.parametrize("pre", sorted(SPACES_AND_NEWLINES | NEWLINES))
def test_every_pre_tokenizer_that_is_cut(pre: str, tmp_path: Path) -> None:
    """For each name on the lists: cuts and the fast way against llama.cpp, on text made to trip them."""
    path = make_model(tmp_path / "model.gguf", pre=pre)
    with LlamaModel(path, vocab_only=True) as model:
        road = Roads(model.vocabulary)
        assert (road.fast is not None) == (pre in PRE_TOKENIZERS)

        @settings(max_examples=12, deadline=None, database=None)
        @given(texts)
        @example(
            "The quick brown\nfox's 12345 dogs!\n/x 안녕하세요. 오늘\nこんにちは\n  return None\r\n".encode()
        )
        def holds(text: bytes) -> None:
            assert road.in_parts(text) == road.straight(text)
            if road.fast and road.fast.knows(text):
                assert road.fast.encode(text).tolist() == road.straight(text)

        holds()


@pytest.mark.parametrize("pre", ["superbpe", "exaone-moe", "bloom"])
def test_unknown_pre_tokenizers_are_not_cut(pre: str, tmp_path: Path) -> None:
    """Where words may hold spaces, or nothing is proven, a text stays whole."""
    with LlamaModel(make_model(tmp_path / "model.gguf", pre=pre), vocab_only=True) as model:
        ways = ways_of(model.vocabulary, parse_special=True)
        assert ways.cuts is None
        assert ways.build_fast() is None


def test_no_cut_within_a_special_token_or_before_one_that_swallows_spaces() -> None:
    """A special token with a space or a newline in it stays whole; white space to be swallowed stays near."""
    spaced = Cuts.of_bpe("gpt-2", [SpecialToken(0, b"<a b\nc>")])
    assert spaced is not None
    parts = list(spaced.parts(b"x <a b\nc> y and no more", 1))
    assert parts[:3] == [b"x", b" <a b\nc>", b" y"]
    swallows_right = Cuts.of_bpe("gpt-2", [SpecialToken(0, b"<a>", strips_right=True)])
    assert swallows_right is not None
    assert list(swallows_right.parts(b"x<a> y z", 1)) == [b"x<a> y", b" z"]
    assert Cuts.of_bpe("gpt-2", [SpecialToken(0, b"<a>", strips_left=True)]) is None


@pytest.mark.parametrize(
    "file", ["gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2", "falcon", "deepseek-coder"]
)
def test_the_expected_ids(roads: Callable[[str, bool], Roads], shared: Path, file: str) -> None:
    """llama.cpp's own test texts and ids, through cuts and the fast way."""
    base = shared / "vocabs" / f"ggml-vocab-{file}.gguf"
    inputs = Path(f"{base}.inp").read_bytes().split(b"\n__ggml_vocab_test__\n")
    expected = [list(map(int, line.split())) for line in Path(f"{base}.out").read_text().splitlines()]
    road = roads(file, False)
    assert len(expected) > 40
    for text, ids in zip(inputs, expected, strict=False):
        assert road.in_parts(text) == ids
        if road.fast and road.fast.knows(text):
            assert road.fast.encode(text).tolist() == ids


class TestEncoder:
    """Batches in, ids out: whichever way is taken."""

    @pytest.fixture
    def text(self) -> bytes:
        """Half a megabyte that the fast way knows but for a few places."""
        line = (
            "The quick brown fox's 12 dogs, 안녕하세요 and a 🦙.\n\n  Then <|endoftext|> and \xff more words "
        )
        return b"".join(
            line.replace("12", str(n)).encode("latin-1", "ignore") or b"" for n in range(4)
        ) + b"".join(line.replace("12", str(n)).encode() for n in range(6000))

    @pytest.mark.parametrize("expected", [0, 1 << 30])
    def test_a_long_text_in_blocks(self, vocabularies: Vocabularies, text: bytes, expected: int) -> None:
        """A stream in batches gives the ids of the text, from llama.cpp and from the fast way."""
        vocabulary = vocabularies["tiny"]
        encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=True, eos=True)
        encoder.expect(expected)
        found = list(encoder.run(whole(Source(BytesIO(text), "x"), encoder.cuts, 1 << 15), 2))
        assert len(found) > 5
        assert b"".join(part.batch.data for part in found) == text
        [joined] = merged(found)
        assert joined.ids.tolist() == vocabulary.encode(text, bos=True, eos=True)

    @pytest.mark.parametrize("expected", [0, 1 << 30])
    def test_lines(self, vocabularies: Vocabularies, text: bytes, expected: int) -> None:
        """Each line has its own ids; an empty one has BOS alone."""
        vocabulary = vocabularies["tiny"]
        encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=True, eos=False)
        encoder.expect(expected)
        found = encoder.run(separated(Source(BytesIO(text[:20000]), "x"), b"\n"), 2)
        rows = [(line, ids.tolist()) for part in found for _, line, ids in part.records()]
        assert [line for line, _ in rows] == text[:20000].split(b"\n")
        assert rows == [(line, vocabulary.encode(line, bos=True)) for line, _ in rows]

    @pytest.mark.parametrize("data", [b"", b"hi", b"one two\n\n\xff three"])
    def test_short_texts(self, vocabularies: Vocabularies, data: bytes) -> None:
        """They come in the same shape, with what belongs before and after each."""
        vocabulary = vocabularies["tiny"]
        encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=True, eos=True)
        for batch in (Batch(data), Batch(data, b"\n", seq=7)):
            rows = [(seq, text, ids.tolist()) for seq, text, ids in encoder.encode(batch).records()]
            assert rows == [
                (seq, text, vocabulary.encode(text, bos=True, eos=True))
                for seq, text in enumerate(batch.texts(), batch.seq)
            ]

    @SOME
    @given(lines=st.lists(texts.map(lambda text: text.replace(b"\xff", b"")), min_size=1, max_size=8))
    def test_separated_texts_of_the_fast_way(
        self, roads: Callable[[str, bool], Roads], lines: list[bytes]
    ) -> None:
        """Many texts at once, some of them empty, by a separator that no text has."""
        road = roads("tiny", True)
        assert isinstance(road.fast, FastTokenizer)
        encoder = BulkEncoder(road.straight, lambda: Ways(road.ways.cuts, lambda: road.fast))
        encoder.expect(1 << 30)
        [found] = encoder.run([Batch(b"\xff".join(lines), b"\xff")], 1)
        assert [ids.tolist() for _, _, ids in found.records()] == [road.straight(line) for line in lines]
