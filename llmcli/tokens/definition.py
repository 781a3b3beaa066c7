"""A GGUF's vocabulary as gigatoken reads it: a tokenizer.json, made only where it is proven to say the same.

BPE: vocabularies with one of the three patterns below, whose merges are complete and say nothing twice.

SentencePiece: llama.cpp merges the two neighbours that make the token with the best score, the leftmost of
several. Each token comes from one pair (`merges.py`), so pairs ranked by their token's score are merged in
the same order, unless two tokens have the same score. Only the runs of a single character may (Llama's runs
of spaces do): the leftmost pair, made longer while it can be, is what both do when the longest run ranks
first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from llmcli.gguf.header import Array, Header
from llmcli.tokens.merges import own_merges
from llmcli.tokens.pieces import byte_characters

_WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT_2, LLAMA_3, QWEN_2 = None, rf"{_WORD}\p{{N}}{{1,3}}{_REST}", rf"{_WORD}\p{{N}}{_REST}"
"""The patterns, as gigatoken knows them; GPT-2's is part of ByteLevel."""


def _table(pattern: str | None, whole_words: bool, names: str) -> dict[str, tuple[str | None, bool]]:
    return dict.fromkeys(names.split(), (pattern, whole_words))


PRE_TOKENIZERS = {
    **_table(GPT_2, False, "gpt-2 phi-2 mpt olmo jais trillion exaone4 gigachat mellum"),
    **_table(LLAMA_3, True, "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 glm4 glm5"),
    **_table(LLAMA_3, False, "dbrx smaug-bpe chatglm-bpe"),
    **_table(QWEN_2, False, "qwen2 deepseek-r1-qwen kormo megrez stablelm2 hunyuan solar-open grok-2"),
}
"""tokenizer.ggml.pre: the pattern, and whether a word that is a token is taken before any merge."""

SEPARATOR = "\U0010ffff"
"""What stands between texts that are tokenized at once: a token of its own, one that no vocabulary has."""

_SPELLED_SPACE = "\u2581"


def is_byte_level(header: Header) -> bool:
    """Whether the vocabulary is a BPE over bytes with a pattern that gigatoken has."""
    metadata = header.metadata
    return metadata.get("tokenizer.ggml.model") == "gpt2" and _pre(header) in PRE_TOKENIZERS


def definition(header: Header, *, puts_space: bool) -> bytes | None:
    """The vocabulary as a tokenizer.json; None where it is not proven to be the same.

    Its only added token, the last one, is SEPARATOR.

    `puts_space`: whether llama.cpp puts a space before a text.
    """
    tokens = header.array("tokenizer.ggml.tokens")
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens) or "" in vocabulary:
        return None
    if is_byte_level(header):
        merges = header.array("tokenizer.ggml.merges")
        if not _complete(vocabulary, merges):
            return None
        return as_tokenizer_json(vocabulary, own_merges(merges), *PRE_TOKENIZERS[_pre(header)])
    scores = header.metadata.get("tokenizer.ggml.scores")
    if header.metadata.get("tokenizer.ggml.model") != "llama" or not isinstance(scores, Array):
        return None
    ordered = _merges_by_score(vocabulary, header.array("tokenizer.ggml.scores"))
    return None if ordered is None else _as_byte_fallback_json(vocabulary, ordered, puts_space)


def as_tokenizer_json(
    vocabulary: dict[str, int], merges: Sequence[str], pattern: str | None, whole_words: bool
) -> bytes:
    """A byte-level BPE vocabulary as a tokenizer.json."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    pre: dict[str, Any] = {**byte_level, "use_regex": pattern is None}
    if pattern is not None:
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        pre = {"type": "Sequence", "pretokenizers": [split, pre]}
    return _as_json(
        vocabulary,
        merges,
        pre_tokenizer=pre,
        decoder={**byte_level, "use_regex": False},
        byte_fallback=False,
        ignore_merges=whole_words,
    )


def _as_byte_fallback_json(vocabulary: dict[str, int], merges: Sequence[str], puts_space: bool) -> bytes:
    """A SentencePiece vocabulary as a tokenizer.json."""
    put = [{"type": "Prepend", "prepend": _SPELLED_SPACE}] if puts_space else []
    spell = {"type": "Replace", "pattern": {"String": " "}, "content": _SPELLED_SPACE}
    return _as_json(
        vocabulary,
        merges,
        normalizer={"type": "Sequence", "normalizers": [*put, spell]},
        byte_fallback=True,
        ignore_merges=False,
    )


def _as_json(
    vocabulary: dict[str, int],
    merges: Sequence[str],
    *,
    byte_fallback: bool,
    ignore_merges: bool,
    **parts: dict[str, Any],
) -> bytes:
    nothing = dict.fromkeys(("normalizer", "pre_tokenizer", "post_processor", "decoder"))
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "fuse_unk": False,
        "byte_fallback": byte_fallback,
        "ignore_merges": ignore_merges,
        "vocab": vocabulary,
        "merges": merges,
    }
    separator = {"id": len(vocabulary), "content": SEPARATOR, "special": True}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    whole: dict[str, Any] = {"version": "1.0", "added_tokens": [{**separator, **flags}]}
    whole |= {**nothing, **parts, "model": model}
    return json.dumps(whole, ensure_ascii=False).encode()


def _pre(header: Header) -> str:
    return str(header.metadata.get("tokenizer.ggml.pre"))


def _complete(vocabulary: dict[str, int], merges: list[str]) -> bool:
    """Whether every byte is a token, and every merge makes a token out of two, none twice."""
    if not all(character in vocabulary for character in byte_characters()):
        return False
    if len(set(merges)) != len(merges):
        return False
    for merge in merges:
        left, space, right = merge.partition(" ")
        if not (space and left in vocabulary and right in vocabulary and left + right in vocabulary):
            return False
    return True


def _merges_by_score(vocabulary: dict[str, int], scores: Sequence[float]) -> list[str] | None:
    """What is merged, in llama.cpp's order; None where that order depends on more than on the pairs."""
    if len(scores) < len(vocabulary) or any(map(math.isnan, scores)):
        return None
    candidates: dict[str, list[str]] = {}
    for token in vocabulary:
        if " " in token:  # llama.cpp spells every space
            continue
        splits = [(token[:at], token[at:]) for at in range(1, len(token))]
        # A part of one character may be missing in the vocabulary: llama.cpp merges it all the same.
        pairs = [pair for pair in splits if all(len(part) == 1 or part in vocabulary for part in pair)]
        if not all(part in vocabulary for pair in pairs for part in pair):
            return None
        if pairs:
            candidates[token] = [" ".join(pair) for pair in pairs]
    score_of = {token: scores[vocabulary[token]] for token in candidates}
    equals: dict[float, list[str]] = {}
    for token, score in score_of.items():
        equals.setdefault(score, []).append(token)
    if not all(len(tokens) == 1 or _are_runs(tokens) for tokens in equals.values()):
        return None
    order = sorted(candidates, key=lambda token: (-score_of[token], -len(token)))
    return own_merges([merge for token in order for merge in candidates[token]])


def _are_runs(tokens: list[str]) -> bool:
    """Whether they are one character twice, three times, ... without a gap."""
    lengths = sorted(map(len, tokens))
    return len(set("".join(tokens))) == 1 and lengths == list(range(2, len(tokens) + 2))
