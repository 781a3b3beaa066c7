"""Looking something up in a vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.errors import UsageError
from llmcli.tokens.search import Entry, search
from llmcli.tokens.tokenizer_json import load_tokenizer_json
from tests.tokenizers import make_tokenizer_json
from tests.tokens.conftest import Vocabularies


def test_an_id_and_a_piece(vocabularies: Vocabularies) -> None:
    """Digits are an id, and a piece too; a piece is found by its text and by its spelling."""
    gpt2 = vocabularies["gpt-2"]
    world = Entry(995, b" world", "Ġworld", "normal", None)
    assert list(search(gpt2, " world")) == list(search(gpt2, "Ġworld")) == [world]
    assert [(e.id, e.piece) for e in search(gpt2, "995")] == [(995, b" world"), (33438, b"995")]
    assert not list(search(gpt2, "no such piece"))


def test_a_part(vocabularies: Vocabularies) -> None:
    """An expression is looked for anywhere in the piece."""
    pieces = [entry.piece for entry in search(vocabularies["gpt-2"], grep="^ worl")]
    assert pieces == [b" world", b" worldwide", b" worlds", b" worldview", b" worldly"]


@pytest.mark.parametrize(
    ("name", "kind", "n", "first"),
    [
        ("gpt-2", "special", 1, b"<|endoftext|>"),
        ("gpt-2", "byte", 256, b"!"),
        ("llama-spm", "byte", 256, b"\x00"),
        ("llama-spm", "special", 3, b"<unk>"),
        ("bert-bge", "unused", 994, b"[unused0]"),
        ("tiny", "special", 5, b"<|endoftext|>"),
    ],
)
def test_kinds(vocabularies: Vocabularies, name: str, kind: str, n: int, first: bytes) -> None:
    """Special ones, those for single bytes, and those that stand for nothing."""
    found = list(search(vocabularies[name], kinds=[kind]))
    assert (len(found), found[0].piece) == (n, first)


def test_all_of_it(vocabularies: Vocabularies) -> None:
    """Without a wish, every token by id; scores where the vocabulary has them."""
    entries = list(search(vocabularies["llama-spm"]))
    assert [entry.id for entry in entries] == list(range(32000))
    assert entries[300].score == -41
    assert {entry.kind for entry in entries} == {"unknown", "control", "byte", "normal"}


@pytest.mark.parametrize(("grep", "reason"), [("(a", "not a regular expression"), ("[", "not a regular")])
def test_no_expression(vocabularies: Vocabularies, grep: str, reason: str) -> None:
    """What is no regular expression is a usage error."""
    with pytest.raises(UsageError, match=reason):
        list(search(vocabularies["tiny"], grep=grep))


def test_an_expression_that_never_ends(tmp_path: Path) -> None:
    """It is given up on after a moment, and the token named."""
    added = "a" * 60 + "!"

    def with_a_trap(definition: dict[str, list[dict[str, object]]]) -> None:
        definition["added_tokens"].append({**definition["added_tokens"][0], "id": 481, "content": added})

    tokenizer = load_tokenizer_json(make_tokenizer_json(tmp_path, change=with_a_trap))
    with pytest.raises(UsageError, match="takes too long on token 481"):
        list(search(tokenizer, grep=r"^(a|a)+$"))


def test_a_tokenizer_json(tmp_path: Path) -> None:
    """Kinds and scores of a tokenizer.json."""
    tokenizer = load_tokenizer_json(make_tokenizer_json(tmp_path, "unigram"))
    entries = list(search(tokenizer))
    kinds = {entry.piece: entry.kind for entry in entries}
    assert (kinds[b"<unk>"], kinds[b"<think>"], kinds[b"e"]) == ("control", "user-defined", "normal")
    assert all((entry.score is None) == (entry.piece == b"<think>") for entry in entries)
