"""Why a text splits as it does: the rule carried out step by step, and held against the engine's own ids.

An explanation that would end in other ids than the engine gives is no explanation: then there is a reason
why not instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llmcli.tokens.explain.rules import Rule
from llmcli.tokens.explain.steps import Explanation, Fragment
from llmcli.tokens.literal import Fragment as Stretch
from llmcli.tokens.literal import split_at
from llmcli.tokens.tokenizer import SpecialToken, Tokenizer


class Explainable(Tokenizer, Protocol):
    """A tokenizer that says which tokens it cuts out of a text before anything else."""

    def parsed_tokens(self, *, parse_special: bool) -> Sequence[SpecialToken]:
        """Those tokens, the longest text first."""
        ...


def explain(
    tokenizer: Explainable,
    rule: Rule | str,
    text: bytes,
    *,
    parse_special: bool = True,
    bos: bool | None = None,
    eos: bool | None = None,
) -> Explanation:
    """Why `tokenizer` gives the ids that it gives for `text`.

    `rule` is the vocabulary's rule, or the reason why there is none.
    """
    ids = tuple(tokenizer.encode(text, parse_special=parse_special, bos=bos, eos=eos))
    begins = tuple(tokenizer.encode(b"", bos=bos, eos=False))
    ends = tuple(tokenizer.encode(b"", bos=False, eos=eos))
    algorithm = tokenizer.algorithm
    if isinstance(rule, str):
        return Explanation(algorithm, "", ids, begins, (), ends, reason=rule)
    fragments = tuple(_fragments(tokenizer, rule, text, parse_special))
    explained = Explanation(algorithm, rule.pre_tokenizer, ids, begins, fragments, ends)
    if explained.explained_ids == list(ids):
        return explained
    reason = f"the rule of {algorithm}, as llmcli knows it, does not end in this vocabulary's ids here"
    return Explanation(algorithm, rule.pre_tokenizer, ids, begins, (), ends, reason)


def _fragments(tokenizer: Explainable, rule: Rule, text: bytes, parse_special: bool) -> list[Fragment]:
    stretches: list[Stretch] = [(0, len(text))] if text else []
    for token in tokenizer.parsed_tokens(parse_special=parse_special):
        if token.text in text:
            stretches = [piece for s in stretches for piece in split_at(text, s, token, [(0, len(text))])]
    fragments = []
    anew = True
    for stretch in stretches:
        if isinstance(stretch, SpecialToken):
            name = stretch.text.decode("utf-8", "replace")
            fragments.append(Fragment(name, name, special=stretch.id))
            anew = True
            continue
        part = text[stretch[0] : stretch[1]]
        normalized = rule.normalize(part, anew=anew)
        fragments.append(Fragment(part.decode("utf-8", "replace"), normalized, tuple(rule.words(normalized))))
        anew = False
    return fragments
