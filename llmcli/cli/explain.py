"""The rule behind a tokenizer, for `tokenize --explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcli.tokens.explain.explain import Explainable
    from llmcli.tokens.explain.rules import Rule


def rule_of(tokenizer: Explainable) -> Rule | str:
    """How the tokenizer splits text, or the reason why that can't be said."""
    from llmcli.tokens.tokenizer_json import JsonTokenizer

    if isinstance(tokenizer, JsonTokenizer):
        from llmcli.tokens.explain.from_json import rule_of_json

        return rule_of_json(tokenizer)
    from llmcli.engine.llama.vocabulary import LlamaVocabulary
    from llmcli.gguf.vocabulary import read_vocabulary
    from llmcli.tokens.explain.from_gguf import rule_of_gguf

    if not isinstance(tokenizer, LlamaVocabulary):
        return "this kind of tokenizer can't be explained"
    return rule_of_gguf(read_vocabulary(tokenizer.path), adds_space=tokenizer.adds_space_prefix)
