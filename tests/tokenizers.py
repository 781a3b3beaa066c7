"""Tokenizers of every family, trained here on a few texts by the library that writes tokenizer.json files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from tests.models import CONTROL, TEXTS, USER_DEFINED, trained_vocabulary

SPECIAL = ["<s>", "</s>", "<|im_end|>"]


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _train(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=480,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=SPECIAL,
            show_progress=False,
        ),
    )
    return tokenizer


def _byte_fallback() -> Tokenizer:
    """As Llama 2's: ▁ put before the text by a normalizer, bytes where no piece is."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    _train(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=["<unk>", *SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
            initial_alphabet=["▁"],
            limit_alphabet=60,
            show_progress=False,
        ),
    )
    written = json.loads(tokenizer.to_str())
    written["added_tokens"] = [token for token in written["added_tokens"] if "<0x" not in token["content"]]
    tokenizer = Tokenizer.from_str(json.dumps(written))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def _metaspace() -> Tokenizer:
    """BPE behind Metaspace, which puts ▁ before the first word only."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    _train(
        tokenizer,
        trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>", *SPECIAL], show_progress=False),
    )
    return tokenizer


def _unigram() -> Tokenizer:
    """As T5's: NFKC, ▁ before every word, the most probable segmentation."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    _train(
        tokenizer,
        trainers.UnigramTrainer(
            vocab_size=400,
            special_tokens=["<pad>", "</s>", "<unk>", "<s>", "<|im_end|>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    return tokenizer


def _word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    _train(
        tokenizer,
        trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=["[PAD]", "[UNK]", *SPECIAL], show_progress=False
        ),
    )
    return tokenizer


def _word_level() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    _train(tokenizer, trainers.WordLevelTrainer(special_tokens=["<unk>", *SPECIAL], show_progress=False))
    return tokenizer


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": _byte_level,
    "byte-fallback": _byte_fallback,
    "metaspace": _metaspace,
    "unigram": _unigram,
    "wordpiece": _word_piece,
    "wordlevel": _word_level,
}
LOSSLESS = ["byte-level", "byte-fallback"]
"""Families that spell any text."""


def make_tokenizer_json(
    folder: Path,
    family: str = "byte-level",
    *,
    template: str = "",
    config: dict[str, Any] | None = None,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Path:
    """Write `tokenizer.json` of a family to `folder`, and `tokenizer_config.json` if there is a `config`.

    `template` is the post-processor's, such as `<s> $A </s>`; `change` edits the file's JSON.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Once it has used threads, tokenizers writes a warning on stderr at every fork.
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        tokenizer = FAMILIES[family]()
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    if template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[(name, tokenizer.token_to_id(name)) for name in SPECIAL[:2]]
        )
    definition = json.loads(tokenizer.to_str())
    change(definition)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder / "tokenizer.json"


def _train(tokenizer: Tokenizer, trainer: Any) -> None:
    tokenizer.train_from_iterator(TEXTS * 3, trainer)


def make_tiny_json(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
    """The tokenizer.json of the tiny model's own vocabulary; `change` edits it."""
    tokens, merges = trained_vocabulary()
    names = [*CONTROL, *USER_DEFINED]
    definition: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": len(tokens) + n,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": name in CONTROL,
            }
            for n, name in enumerate(names)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: token_id for token_id, token in enumerate(tokens)},
            "merges": merges,
        },
    }
    change(definition)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(definition), encoding="utf-8")
    return path
