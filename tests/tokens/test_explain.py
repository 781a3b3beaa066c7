"""Why a text splits so: the rule carried out step by step ends in the engine's own ids."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.cli.explain import rule_of
from llmcli.tokens.explain.explain import Explainable, explain
from llmcli.tokens.explain.merging import merge
from llmcli.tokens.explain.rules import Rule
from llmcli.tokens.explain.steps import Explanation
from llmcli.tokens.tokenizer_json import load_tokenizer_json
from tests.tokenizers import make_tokenizer_json
from tests.tokens.conftest import REAL, Vocabularies

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), max_size=20).map(str.encode),
    st.text(" \n\t\rabAé한漢🦙-1239.,'sLl", max_size=30).map(str.encode),
    st.lists(st.sampled_from([b"<s>", b"</s>", b"<|im_end|>", b"<think>", b" ", b"dog"]), max_size=5).map(
        b"".join
    ),
)
_rules: dict[str, Rule | str] = {}


def explained(tokenizer: Explainable, text: bytes, *, parse_special: bool = True) -> Explanation:
    if tokenizer.name not in _rules:
        _rules[tokenizer.name] = rule_of(tokenizer)
    return explain(tokenizer, _rules[tokenizer.name], text, parse_special=parse_special)


@pytest.mark.parametrize("name", ["tiny", *REAL])
@settings(max_examples=25, deadline=None)
@given(text=texts, parse=st.booleans())
@example(text=b"a\xff\xc1\xa1\xed\xa0\x80b", parse=True)
@example(text=b"", parse=True)
def test_every_vocabulary_is_explained(
    vocabularies: Vocabularies, name: str, text: bytes, parse: bool
) -> None:
    """Any text, special tokens and bytes that are no UTF-8 among it."""
    tokenizer = vocabularies[name]
    explanation = explained(tokenizer, text, parse_special=parse)
    assert not explanation.reason
    assert explanation.explained_ids == tokenizer.encode(text, parse_special=parse)


@cache
def json_tokenizer(folder: Path, family: str) -> Explainable:
    return load_tokenizer_json(make_tokenizer_json(folder / family, family, template="<s> $A </s>"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tokenizer.json files of this file lie."""
    return tmp_path_factory.mktemp("explained")


@pytest.mark.parametrize("family", ["byte-level", "byte-fallback", "unigram", "wordpiece"])
@settings(max_examples=25, deadline=None)
@given(text=texts, parse=st.booleans())
def test_a_tokenizer_json_is_explained(folder: Path, family: str, text: bytes, parse: bool) -> None:
    """The same for the families of a tokenizer.json."""
    assert not explained(json_tokenizer(folder, family), text, parse_special=parse).reason


def test_what_is_not_known_is_said(folder: Path) -> None:
    """A family without a rule here has a reason and its ids, never a guess."""
    explanation = explained(json_tokenizer(folder, "wordlevel"), b"dog")
    assert "WordLevel" in explanation.reason
    assert not explanation.fragments
    assert len(explanation.ids) == 3


def test_a_rule_that_does_not_fit_is_no_explanation(vocabularies: Vocabularies) -> None:
    """Where the steps end in other ids than the engine's, they are not shown."""
    rule = rule_of(vocabularies["llama-spm"])
    explanation = explain(vocabularies["phi-3"], rule, b"<|user|> hello")
    assert not explanation.reason
    explanation = explain(vocabularies["gpt-2"], rule, b"hello")
    assert "does not end in this vocabulary's ids" in explanation.reason
    assert not explanation.fragments


def test_the_classic_example() -> None:
    """The merges are made by their rank, wherever they stand, and from the left."""
    ranks = {("b", "c"): 0, ("a", "bc"): 1, ("a", "a"): 2}
    symbols, merges = merge("aaabcaa", ranks.get)
    assert symbols == ["aa", "abc", "aa"]
    assert [(step.at, step.left, step.right, rank) for step, rank in merges] == [
        (3, "b", "c", 0),
        (2, "a", "bc", 1),
        (0, "a", "a", 2),
        (5, "a", "a", 2),
    ]


def test_a_long_word(vocabularies: Vocabularies) -> None:
    """Twenty thousand characters without a break are merged in one go."""
    explanation = explained(vocabularies["gpt-2"], b"ab" * 10_000)
    assert not explanation.reason


def test_steps_of_bpe(vocabularies: Vocabularies) -> None:
    """Words, symbols and merges are as the vocabulary's file has them."""
    (fragment,) = explained(vocabularies["gpt-2"], b"Hello world").fragments
    hello, world = fragment.words
    assert (hello.text, world.text) == ("Hello", "Ġworld")
    assert world.symbols == ("Ġ", "w", "o", "r", "l", "d")
    assert [(m.left, m.right, m.rank) for m in world.merges][:2] == [("Ġ", "w", 10), ("o", "r", 17)]
    assert [token.id for token in world.tokens] == [995]


def test_a_word_that_is_taken_whole(vocabularies: Vocabularies) -> None:
    """Llama 3 takes a word that is a token without merging."""
    (fragment,) = explained(vocabularies["llama-bpe"], b"Hello").fragments
    assert fragment.words[0].whole
    assert not fragment.words[0].merges


def test_steps_of_sentencepiece(vocabularies: Vocabularies) -> None:
    """The space before the text is seen, and each merge has the score of what it makes."""
    (fragment,) = explained(vocabularies["llama-spm"], b"hello").fragments
    assert fragment.normalized == "▁hello"
    assert fragment.words[0].merges[-1].score == vocabularies_score(vocabularies, "▁hello")


def vocabularies_score(vocabularies: Vocabularies, piece: str) -> float:
    from llmcli.gguf.vocabulary import read_vocabulary

    data = read_vocabulary(vocabularies["llama-spm"].path)
    return data.scores[data.tokens.index(piece)]
