"""`llmcli tokenize` and `detokenize` together: every way in and out says the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.cli.program import Program

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(str.encode)
SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SOME
@given(text=TEXTS)
def test_text_to_ids_to_text_is_the_identity(llmcli: Program, text: bytes) -> None:
    """What tokenize writes, detokenize reads, and any text comes back byte for byte."""
    ids = llmcli("tokenize", stdin=text).succeeded().stdout
    assert llmcli("detokenize", stdin=ids).succeeded().stdout == text


@SOME
@given(text=TEXTS | st.binary(max_size=40).map(lambda data: data.replace(b" ", b"_")))
def test_a_sentencepiece_vocabulary_keeps_any_bytes(llmcli: Program, stories: Path, text: bytes) -> None:
    """With byte tokens even what is no UTF-8 comes back, and the space put before a text is taken off.

    Two things llama.cpp can't bring back: its own sign for a space, U+2581, and a space behind half a
    character, which it takes for that sign's bytes.
    """
    assume("\u2581".encode() not in text)
    ids = llmcli("tokenize", "-m", stories, "--no-parse-special", stdin=text).succeeded().stdout
    assert llmcli("detokenize", "-m", stories, stdin=ids).succeeded().stdout == text


@SOME
@given(text=TEXTS)
def test_every_format_holds_the_same_ids(llmcli: Program, text: bytes) -> None:
    """ids, list, lines, json and jsonl, and detokenize reads each of them."""
    spelled = {
        name: llmcli("tokenize", "--format", name, stdin=text).succeeded().text
        for name in ("ids", "list", "lines", "json", "jsonl")
    }
    ids = json.loads(spelled["list"])
    assert ids == [int(word) for word in spelled["ids"].split()]
    assert ids == [int(line) for line in spelled["lines"].splitlines()]
    assert json.loads(spelled["jsonl"]) == {"seq": 0, "n_tokens": len(ids), "ids": ids}
    data = json.loads(spelled["json"])
    assert ids == data["ids"] == [token["id"] for token in data["tokens"]]
    assert data["n_tokens"] == len(ids)
    assert b"".join(text[token["start"] : token["end"]] for token in data["tokens"]) == text
    for name in spelled:
        assert llmcli("detokenize", stdin=spelled[name].encode()).stdout == text


@pytest.mark.parametrize("text", ["the fox", "안녕 🦙\n\n", " ", "a\tb"])
def test_argument_file_and_stdin_are_one(llmcli: Program, text: str) -> None:
    """It makes no difference which way a text comes in."""
    path = llmcli.home / "text"
    path.write_bytes(text.encode())
    wanted = llmcli("tokenize", stdin=text.encode()).succeeded().stdout
    assert llmcli("tokenize", text).stdout == wanted
    assert llmcli("tokenize", "-f", path).stdout == wanted
    assert llmcli("tokenize", "-", stdin=text.encode()).stdout == wanted
    assert llmcli("tokenize", "-f", "-", stdin=text.encode()).stdout == wanted


def test_each_file_is_a_record(llmcli: Program) -> None:
    """Two files are two lines of ids."""
    for name in "ab":
        (llmcli.home / name).write_text(name)
    ran = llmcli("tokenize", "-f", llmcli.home / "a", "-f", llmcli.home / "b").succeeded()
    assert ran.stdout == llmcli("tokenize", "a").stdout + llmcli("tokenize", "b").stdout
