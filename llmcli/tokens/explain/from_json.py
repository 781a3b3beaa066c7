"""The rule of a tokenizer.json: its own normalizer and pre-tokenizer, run by the library that encodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llmcli.tokens.explain.rules import BpeRule, Rule, UnigramRule, WordPieceRule
from llmcli.tokens.explain.steps import Choice
from llmcli.tokens.tokenizer_json import JsonTokenizer

UNKNOWN_PENALTY = 10.0


def rule_of_json(tokenizer: JsonTokenizer) -> Rule | str:
    """The rule that the file describes, or the reason why it can't be explained."""
    model = tokenizer.definition["model"]
    kinds: dict[str, Callable[[JsonTokenizer, dict[str, Any]], Rule | str]] = {
        "bpe": _bpe,
        "unigram": _unigram,
        "wordpiece": _word_piece,
    }
    if tokenizer.algorithm not in kinds:
        return f"a tokenizer.json of the kind {model.get('type')!r} can't be explained yet"
    return kinds[tokenizer.algorithm](tokenizer, model)


def _bpe(tokenizer: JsonTokenizer, model: dict[str, Any]) -> Rule | str:
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            return f"a BPE with {name} can't be explained yet"
    ids: dict[str, int] = model["vocab"]
    pairs = (pair.split(" ", 1) if isinstance(pair, str) else pair for pair in model["merges"])
    ranks = {(left, right): rank for rank, (left, right) in enumerate(pairs)}
    whole = bool(model.get("ignore_merges"))
    unknown = model.get("unk_token")

    def missing(symbol: str) -> Sequence[Choice]:
        names = [f"<0x{byte:02X}>" for byte in symbol.encode()]
        if model.get("byte_fallback") and all(name in ids for name in names):
            return [Choice(ids[name], name) for name in names]
        return [Choice(ids[unknown], symbol)] if unknown in ids else []

    return BpeRule(
        _name(tokenizer), ids, ranks, tokenizer.normalized, tokenizer.cut, lambda _: whole, missing
    )


def _unigram(tokenizer: JsonTokenizer, model: dict[str, Any]) -> Rule | str:
    unknown = model.get("unk_id")
    if model.get("byte_fallback") or unknown is None:
        return "a Unigram vocabulary with bytes, or without an unknown token, can't be explained yet"
    pieces = {piece: (token_id, float(score)) for token_id, (piece, score) in enumerate(model["vocab"])}
    worst = min((score for _, score in pieces.values()), default=0.0) - UNKNOWN_PENALTY
    return UnigramRule(
        pieces, Choice(unknown, "", worst), tokenizer.normalized, tokenizer.cut, _name(tokenizer)
    )


def _word_piece(tokenizer: JsonTokenizer, model: dict[str, Any]) -> Rule | str:
    ids = model["vocab"]
    if model.get("unk_token") not in ids:
        return "a WordPiece vocabulary without an unknown token can't be explained"
    return WordPieceRule(
        ids,
        Choice(ids[model["unk_token"]], ""),
        tokenizer.normalized,
        tokenizer.cut,
        begins="",
        continues=model.get("continuing_subword_prefix", "##"),
        longest_word=model.get("max_input_chars_per_word", 100),
        pre_tokenizer=_name(tokenizer),
    )


def _name(tokenizer: JsonTokenizer) -> str:
    """The pre-tokenizer's name in the file; of a sequence, the names of all."""
    stage = tokenizer.definition.get("pre_tokenizer") or {}
    stages = stage.get("pretokenizers", [stage]) if isinstance(stage, dict) else []
    return " + ".join(str(s.get("type")) for s in stages if isinstance(s, dict) and s.get("type"))
