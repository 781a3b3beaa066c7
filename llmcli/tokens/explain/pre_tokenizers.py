r"""The patterns by which BPE vocabularies cut a text before any merge, by the name that a GGUF gives them.

The patterns are those of the models' own tokenizers, as llama.cpp applies them: one after the other, each
cutting what the last one left into its matches and what lies between them.

>>> split("I'll go.", "gpt-2")
['I', "'ll", ' go', '.']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

# Parts that many patterns share. \p{L} is a letter of any script, \p{N} a digit, \s white space.
_SUFFIX = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
_LAST_SPACE = r"\s+(?!\S)"
_BLANK = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"(?:(?=\p{L})[^a-z])", r"(?:(?=\p{L})[^A-Z])"
_UPPER_M, _LOWER_M = r"(?:(?=[\p{L}\p{M}])[^a-z])", r"(?:(?=[\p{L}\p{M}])[^A-Z])"
_SIGN = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"

_GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|{_LAST_SPACE}"


def _words(*, digits: str, suffix: str = _SUFFIX, letters: str = r"\p{L}+", end: str = r"[\r\n]*") -> str:
    """The pattern of Llama 3 and its relatives: suffixes, words, digits, signs, blanks."""
    first = f"(?:{suffix})|" if suffix else ""
    return rf"{first}[^\r\n\p{{L}}\p{{N}}]?{letters}|{digits}| ?[^\s\p{{L}}\p{{N}}]+{end}|{_BLANK}"


def _cased(upper: str, lower: str, *, suffix: str, digits: str) -> str:
    """The pattern of GPT-4o and its relatives: a word also ends where small letters turn to capitals."""
    lead = r"[^\r\n\p{L}\p{N}]?"
    return (
        rf"{lead}{upper}*{lower}+{suffix}|{lead}{upper}+{lower}*{suffix}|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_BLANK}"
    )


_LLAMA3 = (_words(digits=r"\p{N}{1,3}"),)
_QWEN2 = (_words(digits=r"\p{N}"),)
_STARCODER = (r"\p{N}", _GPT2)
_O200K = (_cased(_UPPER, _LOWER, suffix=f"(?:{_SUFFIX})?", digits=r"\p{N}{1,3}"),)
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    rf"{_SIGN}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_BLANK}",
)
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"
_NEWLINES = r"[^\n]+|\n+"
_HAN = "[一-龥ࠀ-一가-\ud7ff]+"

PATTERNS: dict[tuple[str, ...], tuple[str, ...]] = {
    (
        "llama3",
        "llama-v3",
        "llama-bpe",
        "falcon3",
        "falcon-h1",
        "pixtral",
        "midm-2.0",
        "lfm2",
        "jina-v5-nano",
        "dbrx",
        "smaug-bpe",
        "chatglm-bpe",
        "glm4",
        "glm5",
    ): _LLAMA3,
    (
        "qwen2",
        "deepseek-r1-qwen",
        "kormo",
        "f2llmv2",
        "stablelm2",
        "hunyuan",
        "megrez",
        "grok-2",
        "solar-open",
    ): _QWEN2,
    ("qwen35",): (
        rf"(?:{_SUFFIX})|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
        rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_BLANK}",
    ),
    (
        "gpt-2",
        "phi-2",
        "jina-es",
        "jina-de",
        "gigachat",
        "jina-v2-es",
        "jina-v2-de",
        "a.x-4.0",
        "mellum",
        "modern-bert",
        "jina-v1-en",
        "jina-v2-code",
        "roberta-bpe",
        "mpt",
        "olmo",
        "jais",
        "trillion",
        "granite-docling",
        "exaone4",
    ): (_GPT2,),
    (
        "starcoder",
        "refact",
        "command-r",
        "smollm",
        "codeshell",
        "exaone",
        "minerva-7b",
        "mellum2",
    ): _STARCODER,
    ("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"): _O200K,
    ("granite-embed-multi-97m",): (
        _cased(_UPPER_M, _LOWER_M, suffix=f"(?:{_SUFFIX})?", digits=r"\p{N}{1,3}"),
    ),
    ("tekken",): (_cased(_UPPER, _LOWER, suffix="", digits=r"\p{N}"),),
    ("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"): _DEEPSEEK3,
    ("deepseek-coder",): (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, r"\p{N}"),
    ("falcon",): (r"[\p{P}$+<=>^~|`]+", _GPT2, "[0-9][0-9][0-9]"),
    ("poro-chat", "bloom", "gpt3-finnish"): (_BLOOM,),
    ("viking",): (_BLOOM, r"\p{N}"),
    ("seed-coder",): (
        rf"(?:{_SUFFIX})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_BLANK}",
    ),
    ("ufakzeka",): (_words(digits=r"\p{N}", suffix=""),),
    ("laguna",): (_NEWLINES, *_QWEN2),
    ("minicpm5",): (r"\p{N}{1,3}", _words(digits=r"\p{N}+")),
    ("gemma4", "granite-embed-multi-311m", "sarvam-moe"): (_NEWLINES,),
    ("", "default"): (r"[\p{P}$+<=>^~|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
}

TAKES_WHOLE = frozenset(
    (
        *("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
        *("jina-v5-nano", "glm4", "glm5", "tekken", "granite-embed-multi-97m", "minicpm5"),
    )
)
"""Pre-tokenizers whose vocabularies take a word that is a token as it is, without merging."""

SPELLS_SPACES = frozenset(["gemma4", "granite-embed-multi-311m", "sarvam-moe"])
"""Those whose vocabularies write ▁ for a space and characters for themselves, as SentencePiece does."""


def patterns_of(name: str) -> tuple[str, ...] | None:
    """The patterns of the pre-tokenizer called `name`; None for one that is not known here."""
    return next((patterns for names, patterns in PATTERNS.items() if name in names), None)


def split(text: str, name: str) -> list[str] | None:
    """`text` as the pre-tokenizer called `name` cuts it; None for one that is not known here."""
    patterns = patterns_of(name)
    return None if patterns is None else split_by(text, patterns)


def split_by(text: str, patterns: Sequence[str]) -> list[str]:
    """`text`, cut by one pattern after the other."""
    pieces = [text] if text else []
    for pattern in patterns:
        pieces = [part for piece in pieces for part in _cut(piece, _compiled(pattern))]
    return pieces


def _cut(text: str, pattern: Any) -> Iterator[str]:
    """The matches in a text, and what lies between them."""
    at = 0
    for match in pattern.finditer(text):
        if match.start() > at:
            yield text[at : match.start()]
        if match.end() > match.start():
            yield match[0]
        at = match.end()
    if at < len(text):
        yield text[at:]


@cache
def _compiled(pattern: str) -> Any:
    # Python's own re knows no \p{L}.
    import regex

    return regex.compile(pattern)
