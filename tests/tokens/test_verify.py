"""A vocabulary against its reference: what goes wrong when models are converted is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcli.tokens.compare import compare
from llmcli.tokens.tokenizer_json import JsonTokenizer, load_tokenizer_json
from llmcli.tokens.verify import Difference, verify
from tests.tokenizers import make_tiny_json
from tests.tokens.conftest import Vocabularies

Definition = dict[str, Any]


def nothing(definition: Definition) -> None:
    """As it should be."""


def shifted(definition: Definition) -> None:
    """A token put in at 100 moves all that follow."""
    vocab = definition["model"]["vocab"]
    moved = {token: token_id + (token_id >= 100) for token, token_id in vocab.items()}
    definition["model"]["vocab"] = moved | {"zzz": 100}
    for added in definition["added_tokens"]:
        added["id"] += 1


def without_a_special(definition: Definition) -> None:
    definition["added_tokens"] = [a for a in definition["added_tokens"] if a["content"] != "<|im_end|>"]


def with_a_special_more(definition: Definition) -> None:
    definition["added_tokens"].append({**definition["added_tokens"][0], "id": 485, "content": "<|extra|>"})


def ordinary_special(definition: Definition) -> None:
    definition["added_tokens"][1]["special"] = False


def other_pre_tokenizer(definition: Definition) -> None:
    definition["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, definition["pre_tokenizer"]],
    }


def other_merges(definition: Definition) -> None:
    definition["model"]["merges"] = definition["model"]["merges"][50:]


def a_space_before(definition: Definition) -> None:
    definition["pre_tokenizer"]["add_prefix_space"] = True


def a_bos_before(definition: Definition) -> None:
    definition["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            "<|endoftext|>": {"id": "<|endoftext|>", "ids": [480], "tokens": ["<|endoftext|>"]}
        },
    }


def differences(
    vocabularies: Vocabularies, folder: Path, change: Callable[[Definition], None], text: bytes | None = None
) -> dict[str, Difference]:
    reference = load_tokenizer_json(make_tiny_json(folder, change))
    return {d.what: d for d in verify(vocabularies["tiny"], reference, text)}


@pytest.mark.parametrize(
    ("change", "kinds", "message"),
    [
        (nothing, [], ""),
        (shifted, ["size", "ids", "encoding"], "id n here is that of id n+1 there"),
        (without_a_special, ["size", "ids", "special tokens"], "1 special tokens only here"),
        (with_a_special_more, ["size", "special tokens"], "1 special tokens only there"),
        (ordinary_special, ["special tokens"], "1 special tokens only here"),
        (other_pre_tokenizer, ["encoding"], "another pre-tokenizer, or other merges"),
        (other_merges, ["encoding"], "another pre-tokenizer, or other merges"),
        (a_space_before, ["space prefix", "encoding"], "a space is put before the text there, not here"),
        (a_bos_before, ["bos"], 'BOS: none before every text here, "<|endoftext|>" (480) there'),
    ],
)
def test_what_goes_wrong_is_found(
    vocabularies: Vocabularies,
    tmp_path: Path,
    change: Callable[[Definition], None],
    kinds: list[str],
    message: str,
) -> None:
    """Each way of converting a vocabulary wrongly is named, and nothing else is."""
    found = differences(vocabularies, tmp_path, change)
    assert list(found) == kinds
    assert message in " ".join(d.message for d in found.values())
    assert all(d.example for what, d in found.items() if what != "bos")


def test_the_text_that_is_given_is_what_is_compared(vocabularies: Vocabularies, tmp_path: Path) -> None:
    """Other merges show only in a text that has something to merge."""
    assert not differences(vocabularies, tmp_path, other_merges, b"{}{}")
    found = differences(vocabularies, tmp_path, other_merges, b"{} the")
    assert '" the" at byte 2' in found["encoding"].example


class TestCompare:
    """Two tokenizers beside each other."""

    @pytest.fixture
    def reference(self, tmp_path: Path) -> JsonTokenizer:
        """The tiny vocabulary without most of its merges."""
        return load_tokenizer_json(make_tiny_json(tmp_path, other_merges))

    @pytest.mark.parametrize("text", ["", "the dog thinks", "안녕하세요 🦙 the <|im_end|> end"])
    def test_segments_cover_the_text(
        self, vocabularies: Vocabularies, reference: JsonTokenizer, text: str
    ) -> None:
        """They are the text in order, and each tokenizer's tokens in them are all that it has."""
        data = text.encode()
        found = compare((vocabularies["tiny"], vocabularies["gpt-2"], reference), data)
        assert b"".join(segment.text for segment in found.segments) == data
        for number, column in enumerate(found.columns):
            assert sum(len(segment.tokens[number]) for segment in found.segments) == column.n_tokens
            for segment in found.segments:
                assert b"".join(t.piece for t in segment.tokens[number]) == segment.text

    def test_figures(self, vocabularies: Vocabularies, reference: JsonTokenizer) -> None:
        """Counts are the text's own tokens, and the ratios follow from them."""
        data = "the 안".encode()
        first, second = compare((vocabularies["llama-bpe"], reference), data).columns
        ids = vocabularies["llama-bpe"].encode(data, bos=False)
        assert (first.n_tokens, first.vocabulary_size) == (len(ids), 128256)
        assert first.bytes_per_token == 7 / len(ids)
        assert second.tokens_per_char == second.n_tokens / 5

    def test_where_they_differ(self, vocabularies: Vocabularies) -> None:
        """The places where one cuts and another does not, and no others."""
        found = compare((vocabularies["gpt-2"], vocabularies["llama-spm"]), b"the tokenizer splits")
        assert [s.text for s in found.segments if s.differs] == [b" splits"]

    def test_a_vocabulary_that_drops_spaces(self, vocabularies: Vocabularies) -> None:
        """A space that WordPiece drops does not join the words around it."""
        found = compare((vocabularies["gpt-2"], vocabularies["bert-bge"]), b"hello world")
        assert len([s for s in found.segments if len(s.tokens[0]) == 1]) == 2
