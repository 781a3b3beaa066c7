"""What `llmcli tokenize` shows beyond the tokens: why, beside others, against another, of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmcli.cli.console import Console

if TYPE_CHECKING:
    from llmcli.tokens.explain.explain import Explainable

FORMATS = ("table", "json")


@dataclass(frozen=True)
class Added:
    """Which tokens are parsed and added, as the command line says."""

    parse_special: bool
    bos: bool | None
    eos: bool | None


def explain_texts(
    console: Console, tokenizer: Explainable, texts: Sequence[bytes], added: Added, chosen: str
) -> None:
    """Why each text splits as it does."""
    from llmcli.cli.explain import rule_of
    from llmcli.render.explain import as_json, as_view
    from llmcli.tokens.explain.explain import explain

    rule = rule_of(tokenizer)
    for text in texts:
        explanation = explain(
            tokenizer, rule, text, parse_special=added.parse_special, bos=added.bos, eos=added.eos
        )
        if explanation.reason:
            console.note(f"notice: {explanation.reason}; these are the tokens alone")
        if chosen == "json":
            console.write_raw(as_json(explanation, tokenizer))
        elif explanation.reason:
            from llmcli.render.tokens import Encoded, as_table

            console.rich().print(as_table(Encoded(tokenizer, text, explanation.ids)))
        else:
            console.rich().print(as_view(explanation, tokenizer))
