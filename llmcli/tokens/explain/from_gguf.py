"""The rule of a GGUF file's vocabulary, as llama.cpp reads it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from llmcli.gguf.vocabulary import NORMAL, UNUSED, USER_DEFINED, GgufVocabulary
from llmcli.tokens.characters import characters_of, read_characters
from llmcli.tokens.explain.pre_tokenizers import SPELLS_SPACES, TAKES_WHOLE, split
from llmcli.tokens.explain.rules import BpeRule, Rule, SentencePieceRule, UnigramRule, WordPieceRule
from llmcli.tokens.explain.steps import Choice
from llmcli.tokens.pieces import SPACE_SIGN, byte_characters
from llmcli.tokens.word_piece import split_words

UNKNOWN_PENALTY = 10.0
"""How much less than the worst token an unknown character scores (Unigram)."""


def rule_of_gguf(vocabulary: GgufVocabulary, *, adds_space: bool) -> Rule | str:
    """The rule that the vocabulary follows, or the reason why it can't be explained."""
    families: dict[str, Callable[[], Rule | str]] = {
        "gpt2": lambda: _bpe(vocabulary, vocabulary.pre),
        "gemma4": lambda: _bpe(vocabulary, "gemma4"),
        "llama": lambda: _sentencepiece(vocabulary, adds_space=adds_space),
        "t5": lambda: _unigram(vocabulary),
        "bert": lambda: _word_piece(vocabulary),
    }
    if vocabulary.model not in families:
        return f"a vocabulary of the kind {vocabulary.model!r} can't be explained yet"
    return families[vocabulary.model]()


def _ids(vocabulary: GgufVocabulary) -> dict[str, int]:
    return {token: token_id for token_id, token in enumerate(vocabulary.tokens)}


def _bpe(vocabulary: GgufVocabulary, pre: str) -> Rule | str:
    if split("", pre) is None:
        return f"the pre-tokenizer {pre!r} can't be explained yet"
    ids = _ids(vocabulary)
    ranks: dict[tuple[str, str], int] = {}
    for rank, pair in enumerate(vocabulary.merges):
        left, _, right = pair[1:].partition(" ")
        ranks.setdefault((pair[:1] + left, right), rank)
    raw = pre in SPELLS_SPACES
    spelled = {byte: character for character, byte in byte_characters().items()}

    def cut(text: str) -> list[str]:
        words = split(text, pre) or []
        return words if raw else ["".join(spelled[byte] for byte in _bytes(word)) for word in words]

    def takes_whole(word: str) -> bool:
        return pre in TAKES_WHOLE or (pre == "gemma4" and not word.strip("\n"))

    def missing(symbol: str) -> Sequence[Choice]:
        # llama.cpp looks each byte up, and leaves out those for which there is no token.
        names = [f"<0x{byte:02X}>" for byte in _bytes(symbol)] if raw else list(symbol)
        return [Choice(ids[name], name) for name in names if name in ids and (raw or name.isascii())]

    def normalize(text: bytes) -> str:
        characters = read_characters(text)
        return characters.replace(" ", SPACE_SIGN) if raw else characters

    return BpeRule(pre or "default", ids, ranks, normalize, cut, takes_whole, missing)


def _sentencepiece(vocabulary: GgufVocabulary, *, adds_space: bool) -> Rule | str:
    if not vocabulary.scores:
        return "the file has no scores"
    return SentencePieceRule(_ids(vocabulary), vocabulary.scores, adds_space)


def _word_piece(vocabulary: GgufVocabulary) -> Rule:
    def normalize(text: bytes) -> str:
        seen = split_words(
            read_characters(text), lowercase=vocabulary.lowercase, strip_accents=vocabulary.strips_accents
        )
        return " ".join(SPACE_SIGN + word.text for word in seen)

    return WordPieceRule(
        _ids(vocabulary),
        Choice(100 if vocabulary.unknown is None else vocabulary.unknown, ""),
        normalize,
        str.split,
        "",
        "",
        longest_word=1 << 30,
    )


def _unigram(vocabulary: GgufVocabulary) -> Rule | str:
    if not vocabulary.scores:
        return "the file has no scores"
    known = (NORMAL, USER_DEFINED, UNUSED)
    pieces = {
        token: (token_id, 0.0 if kind == USER_DEFINED else score)
        for token_id, (token, kind, score) in enumerate(
            zip(vocabulary.tokens, vocabulary.kinds, vocabulary.scores, strict=False)
        )
        if kind in known
    }
    normal = [
        score for kind, score in zip(vocabulary.kinds, vocabulary.scores, strict=False) if kind == NORMAL
    ]
    worst = Choice(
        2 if vocabulary.unknown is None else vocabulary.unknown,
        "",
        min(normal, default=0.0) - UNKNOWN_PENALTY,
    )
    own = sorted(
        (t for t, k in zip(vocabulary.tokens, vocabulary.kinds, strict=False) if k == USER_DEFINED),
        key=len,
        reverse=True,
    )
    try:
        charsmap = CharsMap(vocabulary.charsmap)
    except struct.error:
        return "its table of characters is damaged"
    adds_space = vocabulary.adds_space is True

    def normalize(text: bytes) -> str:
        seen = charsmap.replaced(text, own)
        written: list[str] = []
        in_word = prepended = False
        for character in seen:
            if character == " ":
                in_word = False
                if not vocabulary.removes_spaces:
                    written.append(SPACE_SIGN)
                continue
            if not in_word:
                in_word = True
                if (adds_space and not prepended) or vocabulary.removes_spaces:
                    written.append(SPACE_SIGN)
                    prepended = True
            written.append(character)
        return "".join(written)

    return UnigramRule(pieces, worst, normalize, lambda text: [text] if text else [])


def _bytes(text: str) -> bytes:
    # llama.cpp reads a surrogate that is spelled in UTF-8 as a character, and writes it as it was.
    return text.encode("utf-8", "surrogatepass")


class CharsMap:
    """SentencePiece's table of replacements: a trie packed into an array of numbers, then the replacements.

    Each number holds the place of its children (XOR their byte finds them), the byte that leads to it,
    and whether a replacement ends here (Kanda 2018, the double array of the library Darts).
    """

    def __init__(self, data: bytes) -> None:
        """Read it; struct.error where it is damaged. No data is a table without replacements."""
        size = struct.unpack_from("<I", data)[0] // 4 if data else 0
        self._nodes = struct.unpack_from(f"<{size}I", data, 4) if data else ()
        self._texts = data[4 + 4 * size :]

    def replaced(self, data: bytes, keep: Sequence[str] = ()) -> str:
        """A text with the longest replacement made at each place; what is in `keep` stays as it is."""
        kept = [token.encode() for token in keep]
        seen = bytearray()
        at = 0
        while at < len(data):
            own = next((token for token in kept if data.startswith(token, at)), b"")
            n_bytes, replacement = (len(own), own) if own else self._longest(data, at)
            if not n_bytes:
                (n_bytes, character), *_ = characters_of(data[at : at + 4])
                replacement = character.encode("utf-8", "surrogatepass")
            seen += replacement
            at += n_bytes
        return seen.decode("utf-8", "replace")

    def _longest(self, data: bytes, at: int) -> tuple[int, bytes]:
        """How many bytes the longest replacement at a place takes (0: there is none), and what it writes."""
        if not self._nodes:
            return 0, b""
        found = (0, b"")
        node = self._base(0)
        for end in range(at, len(data)):
            byte = data[end]
            node ^= byte
            if not byte or not 0 <= node < len(self._nodes):
                break
            unit = self._nodes[node]
            if unit & (1 << 31 | 0xFF) != byte:
                break
            node ^= self._base(node)
            if unit >> 8 & 1 and node < len(self._nodes):
                start = self._nodes[node] & 0x7FFFFFFF
                stop = self._texts.find(b"\0", start)
                found = (end - at + 1, self._texts[start : stop if stop >= 0 else None])
        return found

    def _base(self, node: int) -> int:
        unit: int = self._nodes[node]
        return (unit >> 10) << ((unit & 1 << 9) >> 6)
