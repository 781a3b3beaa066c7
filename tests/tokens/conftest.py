"""Vocabularies of every kind, loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.tokens.tokenizer import decode

REAL = ["bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"]
LOSSLESS = [name for name in ["tiny", *REAL] if name != "bert-bge"]
"""Vocabularies whose tokens, joined, are the text: all but WordPiece."""


class Vocabularies:
    """Vocabularies by name, opened when first asked for."""

    def __init__(self, tiny_model: Path, shared: Path, stack: ExitStack) -> None:
        self._tiny_model, self._shared, self._stack = tiny_model, shared, stack
        self._open: dict[str, LlamaVocabulary] = {}

    def __getitem__(self, name: str) -> LlamaVocabulary:
        if name not in self._open:
            path = self._shared / "vocabs" / f"ggml-vocab-{name}.gguf"
            if name == "tiny":
                path = self._tiny_model
            elif not path.is_file():
                pytest.skip(f"needs the shared vocabulary {name}")
            self._open[name] = self._stack.enter_context(LlamaModel(path, vocab_only=True)).vocabulary
        return self._open[name]


@pytest.fixture(scope="session")
def vocabularies(tiny_model: Path) -> Iterator[Vocabularies]:
    """The tiny model's vocabulary (`tiny`), and the shared ones where they are there."""
    from tests.conftest import SHARED

    with ExitStack() as stack:
        yield Vocabularies(tiny_model, SHARED, stack)


def spellable(vocabulary: LlamaVocabulary, text: str) -> str:
    """`text` without the characters that the vocabulary can't spell: falcon's lacks some bytes."""
    if "falcon" not in vocabulary.name:
        return text
    return "".join(
        c
        for c in text
        if decode(vocabulary, vocabulary.encode(c.encode(), parse_special=False)) == c.encode()
    )
