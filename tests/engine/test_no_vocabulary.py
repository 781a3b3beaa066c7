"""Vocabularies that are missing, or at which llama.cpp would end the process."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from llmcli.engine.llama.model import LlamaModel
from llmcli.errors import GgufError, ModelError


def vocabulary(path: Path, tokens: list[str]) -> Path:
    """A GGUF file with a SentencePiece vocabulary of these tokens and nothing else."""
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("x")
    if tokens:
        out.add_tokenizer_model("llama")
        out.add_token_list(tokens)
        out.add_token_scores([0.0] * len(tokens))
        out.add_token_types([gguf.TokenType.UNKNOWN, *[gguf.TokenType.NORMAL] * (len(tokens) - 1)])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def test_a_file_without_one(tmp_path: Path) -> None:
    """It is said so, whatever it is wanted for."""
    with pytest.raises(ModelError, match="has no vocabulary"):
        LlamaModel(vocabulary(tmp_path / "none.gguf", []), vocab_only=True)


def test_a_token_twice(tmp_path: Path) -> None:
    """The token is named, and llama.cpp never sees the file."""
    path = vocabulary(tmp_path / "twice.gguf", ["<unk>", "a", "b", "a"])
    with pytest.raises(GgufError, match="has the token 'a' twice"):
        LlamaModel(path, vocab_only=True)
