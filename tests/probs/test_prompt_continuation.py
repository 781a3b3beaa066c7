"""What a text adds to a prompt, where it can't be tokenized together with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.engine.llama.model import LlamaModel
from llmcli.probs.prompt import Prompt, continuation


@pytest.mark.parametrize("text", ["there", "n", "n a time", " there"])
def test_its_tokens_are_its_bytes(stories: Path, text: str) -> None:
    """SentencePiece puts a space before a text; nobody wrote one here."""
    with LlamaModel(stories, vocab_only=True) as model:
        added = continuation(Prompt.plain(b"Once upo"), text, model.vocabulary)
        assert b"".join(map(model.vocabulary.piece, added.ids)) == text.encode()
