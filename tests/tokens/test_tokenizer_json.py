"""A tokenizer.json through the tokenizers library: the same ids, and the bytes behind each."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.errors import ModelError, UsageError
from llmcli.tokens.tokenizer import SpecialToken, decode
from llmcli.tokens.tokenizer_json import JsonTokenizer, find_tokenizer_json, load_tokenizer_json
from tests.tokenizers import FAMILIES, LOSSLESS, make_tokenizer_json

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=40),
    st.text(" \nabAé한漢🦙<|>/s", max_size=40),
    st.lists(st.sampled_from(["<s>", "</s>", "<think>", " ", "dog", "the quick"]), max_size=6).map("".join),
)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tokenizer.json of each family, by its name."""
    folder = tmp_path_factory.mktemp("tokenizers")
    return {family: make_tokenizer_json(folder / family, family) for family in FAMILIES}


@cache
def load(path: Path) -> JsonTokenizer:
    return load_tokenizer_json(path)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(text=texts, parse=st.booleans())
@example(text="a</s> b", parse=False)
def test_ids_are_the_librarys(files: dict[str, Path], family: str, text: str, parse: bool) -> None:
    """What the library says, and no more: nothing is added where the file asks for nothing."""
    library = tokenizers.Tokenizer.from_file(str(files[family]))
    library.encode_special_tokens = not parse
    tokenizer = load(files[family])
    assert tokenizer.encode(text.encode(), parse_special=parse) == library.encode(text).ids
    assert tokenizer.n_tokens == library.get_vocab_size()


@pytest.mark.parametrize("family", LOSSLESS)
@settings(max_examples=60, deadline=None)
@given(text=texts, parse=st.booleans())
@example(text=" a", parse=True)
@example(text="<think> a<think>b", parse=True)
@example(text="각 각🦙", parse=True)
def test_text_comes_back(files: dict[str, Path], family: str, text: str, parse: bool) -> None:
    """A vocabulary that spells any byte gives any text back, also around special and added tokens."""
    tokenizer = load(files[family])
    assert decode(tokenizer, tokenizer.encode(text.encode(), parse_special=parse)) == text.encode()


def test_a_space_of_the_first_word_only(files: dict[str, Path]) -> None:
    """Metaspace may put its ▁ before the text and not behind a special token."""
    tokenizer = load(files["metaspace"])
    for text in (b"dog", b"<s>dog", b"<s> dog</s> the"):
        assert decode(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("family", "text", "pieces"),
    [
        ("byte-level", "쀍", [b"\xec", b"\x80", b"\x8d"]),
        ("byte-fallback", "é", [b" ", b"\xc3", b"\xa9"]),
        ("wordpiece", "xd", [b" x", b"d"]),
        ("wordlevel", "dog.", [b" dog", b" ."]),
        ("unigram", "<think>", [b"<think>"]),
    ],
)
def test_the_bytes_of_a_piece(files: dict[str, Path], family: str, text: str, pieces: list[bytes]) -> None:
    """Each family's own spelling, as the bytes that the text has."""
    tokenizer = load(files[family])
    assert [tokenizer.piece(i) for i in tokenizer.encode(text.encode())] == pieces


@pytest.mark.parametrize("family", LOSSLESS)
def test_bytes_that_are_no_utf_8(files: dict[str, Path], family: str) -> None:
    """Each counts as one U+FFFD: the library takes characters."""
    tokenizer = load(files[family])
    wanted = tokenizer.encode("a\ufffd\ufffdb\ufffd".encode())
    assert tokenizer.encode(b"a\xff\xe2b\xed") == wanted


def test_special_tokens(files: dict[str, Path]) -> None:
    """Special ones are special, added ones that are not are always parsed."""
    tokenizer = load(files["byte-level"])
    assert set(tokenizer.special_tokens()) == {
        SpecialToken(0, b"<s>"),
        SpecialToken(1, b"</s>"),
        SpecialToken(2, b"<|im_end|>"),
    }
    think = tokenizer.encode(b"<think>", parse_special=False)
    assert think == tokenizer.encode(b"<think>") == [480]
    assert not tokenizer.is_special(480)
    assert tokenizer.encode(b"</s>") == [1]
    assert 1 not in tokenizer.encode(b"</s>", parse_special=False)


def test_the_unknown_token_is_special(files: dict[str, Path]) -> None:
    """What a vocabulary can't spell is one token that no text becomes otherwise."""
    for family in ("metaspace", "unigram", "wordpiece", "wordlevel"):
        tokenizer = load(files[family])
        ids = tokenizer.encode("ϕ".encode())
        assert tokenizer.is_special(ids[-1]), family


class TestAdded:
    """BOS and EOS, as the post-processor asks or the user does."""

    @pytest.mark.parametrize(
        ("template", "begins", "ends"),
        [
            ("", [], []),
            ("<s> $A </s>", [0], [1]),
            ("<s> $A", [0], []),
            ("<s> </s> $A", [0, 1], []),
            ("$A </s>", [], [1]),
        ],
    )
    def test_by_default(self, tmp_path: Path, template: str, begins: list[int], ends: list[int]) -> None:
        """What the file's post-processor adds is added, also around nothing."""
        tokenizer = load_tokenizer_json(make_tokenizer_json(tmp_path, template=template))
        bare = tokenizer.encode(b"hello", bos=False, eos=False)
        assert tokenizer.encode(b"hello") == [*begins, *bare, *ends]
        assert tokenizer.encode(b"", bos=False) == ends
        assert tokenizer.encode(b"", eos=False) == begins
        assert decode(tokenizer, tokenizer.encode(b"hello")) == b"hello"

    def test_on_request(self, tmp_path: Path) -> None:
        """tokenizer_config.json names those that the post-processor leaves out, as a text or an object."""
        config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}}
        tokenizer = load_tokenizer_json(make_tokenizer_json(tmp_path, config=config))
        assert tokenizer.encode(b"") == []
        assert tokenizer.encode(b"", bos=True, eos=True) == [0, 1]

    def test_that_nobody_names(self, files: dict[str, Path]) -> None:
        """A BOS that is nowhere named can't be added."""
        with pytest.raises(UsageError, match="names no BOS token"):
            load(files["byte-level"]).encode(b"", bos=True)


def test_truncation_and_padding_are_left_out(tmp_path: Path) -> None:
    """A file that asks for 4 tokens a text still gives all of them."""

    def truncate(definition: dict[str, object]) -> None:
        definition["truncation"] = {
            "direction": "Right",
            "max_length": 4,
            "strategy": "LongestFirst",
            "stride": 0,
        }
        definition["padding"] = {
            "strategy": {"Fixed": 64},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<s>",
        }

    tokenizer = load_tokenizer_json(make_tokenizer_json(tmp_path, change=truncate))
    text = b"The quick brown fox jumps over the lazy dog"
    assert decode(tokenizer, tokenizer.encode(text)) == text


class TestFinding:
    """A path to a file or a folder, and what is wrong with those that are neither."""

    def test_a_folder_holds_it(self, files: dict[str, Path]) -> None:
        """A folder stands for the tokenizer.json in it, and names it."""
        path = files["unigram"]
        assert find_tokenizer_json(path.parent) == find_tokenizer_json(path) == path
        assert load(path).name == "unigram/tokenizer.json"

    def test_a_gguf_is_none(self, tiny_model: Path) -> None:
        """A GGUF file is left to those who read it."""
        assert find_tokenizer_json(tiny_model) is None

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "it is empty"),
            (b"hello", "it is text"),
            (b"PK\x03\x04xxxx", "zip archive"),
        ],
    )
    def test_of_another_kind(self, tmp_path: Path, content: bytes, reason: str) -> None:
        """What is neither JSON nor GGUF is said to be what it is."""
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=reason):
            find_tokenizer_json(path)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        """A folder without the file is an error that names the file."""
        with pytest.raises(ModelError, match=r"no tokenizer\.json in this folder"):
            find_tokenizer_json(tmp_path)

    def test_nothing_there(self, tmp_path: Path) -> None:
        """No such file is said so."""
        with pytest.raises(ModelError, match="no such file"):
            find_tokenizer_json(tmp_path / "missing")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"{", "not JSON"),
            (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
            (b'{"a": ' * 100_000, "nested too deeply"),
            (b'{"version": "1.0"}', 'no "model"'),
            (b'{"model": {"type": "BPE"}}', "can't read it"),
            (json.dumps({"model": {"type": "Riddle", "vocab": {}}}).encode(), "can't read it"),
        ],
    )
    def test_no_tokenizer_json(self, tmp_path: Path, content: bytes, reason: str) -> None:
        """JSON that is no tokenizer is an error with a reason and a hint."""
        path = tmp_path / "tokenizer.json"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=reason) as caught:
            load_tokenizer_json(path)
        assert caught.value.hint


def test_an_id_out_of_range(files: dict[str, Path]) -> None:
    """Named, with the range that there is."""
    with pytest.raises(UsageError, match="token id 481 is not in the vocabulary") as caught:
        load(files["byte-level"]).piece(481)
    assert caught.value.hint == "its ids run from 0 to 480"
