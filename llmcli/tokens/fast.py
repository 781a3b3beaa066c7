"""BPE at hundreds of megabytes a second: gigatoken, built from the GGUF's own tokens and merges.

It is an optional dependency, and it is used only where its ids are proven to be llama.cpp's: vocabularies
with one of the three patterns below, whose merges are complete and say nothing twice, and texts that are
UTF-8, hold no special token, and no character that the two programs' Unicode tables class differently. For
anything else `knows` says no, and llama.cpp itself does the work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llmcli.gguf.header import Header
from llmcli.tokens.pieces import byte_characters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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

# The two programs were held against each other for every code point: gigatoken knows 9,039 letters and digits
# that came with Unicode 16 and 17, which to llama.cpp are nothing yet. In the astral planes only those blocks
# count as known in which such can't be: mathematical letters, symbols and emoji, and a Chinese extension.
_NEW_CHARACTERS = (*map(str.encode, "\u088f\u0c5c\u0cdc"), b"\xe1\xb2", b"\xea\x9f")
_ASTRAL = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))
_UNKNOWN_ASTRAL = re.compile(rb"\xf0[^\x9d\x9f\xa0-\xa9]|[\xf1-\xf4]")

_FEW = 8


class FastBpe:
    """Bytes to ids, for texts that it `knows`. Thread-safe; no BOS, no EOS, no special tokens."""

    def __init__(self, backend: Any, specials: Iterable[bytes]) -> None:
        from gigatoken.gigatoken_rs import PadTruncate

        self._backend, self._as_is = backend, PadTruncate(0)
        self._special = _finder(specials)

    def knows(self, text: bytes) -> bool:
        """Whether its ids for `text` are certain to be llama.cpp's."""
        return (text.isascii() or _classed_alike(text)) and not self._special(text)

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """The ids of a text."""
        # Of gigatoken's ways this is the one that lets go of the GIL and needs no awkward arrays.
        ids: NDArray[np.uint32] = self._backend.encode_batch_padded([text], self._as_is, parallel=False)[0][0]
        return ids

    def encode_separated(self, data: bytes, separator: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of all texts in `data`, and where those of each end. Empty texts have none."""
        import numpy as np
        from gigatoken.gigatoken_rs import BytesSource

        found = self._backend.encode_batch(BytesSource(data, separator), parallel=False).layout
        ids, offsets = np.asarray(found.content.data), np.asarray(found.offsets.data)
        # gigatoken leaves empty texts out.
        borders = np.flatnonzero(np.frombuffer(data, np.uint8) == separator[0])
        sizes = np.diff(borders, prepend=-1, append=len(data)) - 1
        ends = np.zeros(len(sizes), np.int64)
        ends[sizes > 0] = np.diff(offsets)
        return ids[offsets[0] : offsets[-1]], np.cumsum(ends)


def fast_bpe(header: Header, specials: Sequence[bytes]) -> FastBpe | None:
    """The fast way for a vocabulary; None where gigatoken is missing or not proven to give the same ids."""
    metadata = header.metadata
    known = PRE_TOKENIZERS.get(str(metadata.get("tokenizer.ggml.pre")))
    if metadata.get("tokenizer.ggml.model") != "gpt2" or known is None:
        return None
    try:
        from gigatoken.gigatoken_rs import load_hf_json
    except ImportError:
        return None
    tokens, merges = header.array("tokenizer.ggml.tokens"), header.array("tokenizer.ggml.merges")
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens) or not _complete(vocabulary, merges):
        return None
    try:
        return FastBpe(load_hf_json(as_tokenizer_json(vocabulary, merges, *known)), specials)
    except (ValueError, RuntimeError, OverflowError):  # what gigatoken can't read, llama.cpp can
        return None


def _complete(vocabulary: dict[str, int], merges: list[str]) -> bool:
    """Whether every byte is a token, and every merge makes a token out of two, none twice."""
    if not all(character in vocabulary for character in byte_characters()) or "" in vocabulary:
        return False
    if len(set(merges)) != len(merges):
        return False
    for merge in merges:
        left, space, right = merge.partition(" ")
        if not (space and left in vocabulary and right in vocabulary and left + right in vocabulary):
            return False
    return True


def as_tokenizer_json(
    vocabulary: dict[str, int], merges: list[str], pattern: str | None, whole_words: bool
) -> str:
    """The vocabulary as a tokenizer.json without added tokens."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    pre: dict[str, Any] = {**byte_level, "use_regex": pattern is None}
    if pattern is not None:
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        pre = {"type": "Sequence", "pretokenizers": [split, pre]}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": whole_words,
        "vocab": vocabulary,
        "merges": merges,
    }
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": pre,
            "post_processor": None,
            "decoder": {**byte_level, "use_regex": False},
            "model": model,
        },
        ensure_ascii=False,
    )


def _classed_alike(text: bytes) -> bool:
    """Whether it is UTF-8, and llama.cpp and gigatoken class all its characters alike."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    if any(new in text for new in _NEW_CHARACTERS):
        return False
    return not (any(lead in text for lead in _ASTRAL) and _UNKNOWN_ASTRAL.search(text))


def _finder(texts: Iterable[bytes]) -> Any:
    """A function that says whether a text may hold one of `texts`: quick, and right when it says no.

    Most special tokens begin alike (`<|`), and looking for a few bytes is a hundred times faster than for a
    pattern.
    """
    beginnings = {text[:2] for text in texts}
    if len(beginnings) <= _FEW:
        return lambda text: any(beginning in text for beginning in beginnings)
    pattern = re.compile(b"|".join(map(re.escape, sorted(set(texts), key=len, reverse=True))))
    return pattern.search
