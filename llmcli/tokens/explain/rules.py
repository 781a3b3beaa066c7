"""The rules by which each family turns a stretch of text into tokens, step by step.

Each rule first writes the text as the vocabulary spells it (`normalize`), then cuts it into words and says
how each becomes tokens (`words`). They are slow and explicit: the engine encodes, these explain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import cached_property
from typing import Protocol

from llmcli.tokens.explain.merging import merge
from llmcli.tokens.explain.steps import Choice, Word
from llmcli.tokens.pieces import SPACE_SIGN


class Rule(Protocol):
    """How one vocabulary splits text."""

    @property
    def pre_tokenizer(self) -> str:
        """The name of the rule that cuts text into words; empty where there is none."""
        ...

    def normalize(self, text: bytes, *, anew: bool) -> str:
        """The text as the vocabulary spells it; `anew` at the beginning and behind a special token."""
        ...

    def words(self, normalized: str) -> list[Word]:
        """The words of a normalized text, each with its tokens and how it came to them."""
        ...


@dataclass(frozen=True)
class BpeRule:
    """Byte pair encoding: the neighbours that stand first in the list of merges become one."""

    pre_tokenizer: str
    ids: Mapping[str, int]
    ranks: Mapping[tuple[str, str], int]
    normalizer: Callable[[bytes], str]
    cut: Callable[[str], Sequence[str]]
    """The words of a text, in the vocabulary's spelling."""
    takes_whole: Callable[[str], bool]
    """Whether a word that is a token is taken as it is."""
    missing: Callable[[str], Sequence[Choice]]
    """The tokens for a symbol that is none."""

    def normalize(self, text: bytes, *, anew: bool) -> str:
        """As `Rule`."""
        return self.normalizer(text)

    def words(self, normalized: str) -> list[Word]:
        """As `Rule`."""
        return [self._word(word) for word in self.cut(normalized)]

    def _word(self, word: str) -> Word:
        if word in self.ids and self.takes_whole(word):
            return Word(word, (Choice(self.ids[word], word),), whole=True)
        symbols, merges = merge(word, self.ranks.get)
        tokens = [choice for symbol in symbols for choice in self._tokens(symbol)]
        return Word(
            word, tuple(tokens), tuple(word), tuple(changed(step, rank=int(rank)) for step, rank in merges)
        )

    def _tokens(self, symbol: str) -> Sequence[Choice]:
        return [Choice(self.ids[symbol], symbol)] if symbol in self.ids else self.missing(symbol)


@dataclass(frozen=True)
class SentencePieceRule:
    """SentencePiece's BPE in llama.cpp: the neighbours whose token has the highest score become one."""

    ids: Mapping[str, int]
    scores: Sequence[float]
    adds_space: bool
    pre_tokenizer: str = ""

    def normalize(self, text: bytes, *, anew: bool) -> str:
        """As `Rule`."""
        lead = b" " if self.adds_space and anew else b""
        return (lead + text).replace(b" ", SPACE_SIGN.encode()).decode("utf-8", "surrogateescape")

    def words(self, normalized: str) -> list[Word]:
        """As `Rule`: the whole text is one word."""

        def rate(pair: tuple[str, str]) -> float | None:
            made = self.ids.get(pair[0] + pair[1])
            return None if made is None else -self.scores[made]

        first = _by_first_bytes(normalized)
        symbols, merges = merge(first, rate)
        tokens = [choice for symbol in symbols for choice in self._tokens(symbol)]
        steps = tuple(changed(step, score=-rate) for step, rate in merges)
        return [Word(normalized, tuple(tokens), tuple(first), steps)]

    def _tokens(self, symbol: str) -> list[Choice]:
        if (found := self.ids.get(symbol)) is not None:
            return [Choice(found, symbol, self.scores[found])]
        names = [f"<0x{byte:02X}>" for byte in symbol.encode("utf-8", "surrogateescape")]
        return [Choice(self.ids[name], name) for name in names if name in self.ids]


@dataclass(frozen=True)
class UnigramRule:
    """Unigram: of all ways to cut the text into tokens, the one whose scores add up to the most (Viterbi)."""

    pieces: Mapping[str, tuple[int, float]]
    """Each token with its id and score: the logarithm of its probability."""
    unknown: Choice
    """The token for a character that no token spells, and the score that counts for it."""
    normalizer: Callable[[bytes], str]
    cut: Callable[[str], Sequence[str]]
    pre_tokenizer: str = ""

    def normalize(self, text: bytes, *, anew: bool) -> str:
        """As `Rule`."""
        return self.normalizer(text)

    def words(self, normalized: str) -> list[Word]:
        """As `Rule`."""
        return [Word(word, self._best(word)) for word in self.cut(normalized)]

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.pieces), default=1)

    def _best(self, text: str) -> tuple[Choice, ...]:
        longest = self._longest
        best: list[tuple[float, int, Choice]] = [(float("-inf"), 0, self.unknown)] * (len(text) + 1)
        best[0] = (0.0, 0, self.unknown)
        for start in range(len(text)):
            so_far = best[start][0]
            for end in range(start + 1, min(len(text), start + longest) + 1):
                if (found := self.pieces.get(text[start:end])) and so_far + found[1] > best[end][0]:
                    best[end] = (so_far + found[1], start, Choice(found[0], text[start:end], found[1]))
            score = self.unknown.score or 0.0
            if text[start] not in self.pieces and so_far + score > best[start + 1][0]:
                best[start + 1] = (so_far + score, start, changed(self.unknown, piece=text[start]))
        chosen: list[Choice] = []
        end = len(text)
        while end > 0:
            _, start, choice = best[end]
            if choice.id == self.unknown.id and chosen and chosen[-1].id == choice.id:
                chosen[-1] = changed(choice, piece=choice.piece + chosen[-1].piece)
            else:
                chosen.append(choice)
            end = start
        return tuple(reversed(chosen))


@dataclass(frozen=True)
class WordPieceRule:
    """WordPiece: the longest token that the word begins with, then of what is left."""

    ids: Mapping[str, int]
    unknown: Choice
    normalizer: Callable[[bytes], str]
    cut: Callable[[str], Sequence[str]]
    begins: str
    """What a token at a word's beginning is written with."""
    continues: str
    """What a token that goes on with a word is written with."""
    longest_word: int
    """A word of more characters is unknown."""
    pre_tokenizer: str = "words"

    def normalize(self, text: bytes, *, anew: bool) -> str:
        """As `Rule`."""
        return self.normalizer(text)

    def words(self, normalized: str) -> list[Word]:
        """As `Rule`."""
        return [Word(word, self._longest_first(word)) for word in self.cut(normalized)]

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.ids), default=1)

    def _longest_first(self, word: str) -> tuple[Choice, ...]:
        unknown = (changed(self.unknown, piece=word),)
        if len(word) > self.longest_word:
            return unknown
        tokens: list[Choice] = []
        at = 0
        longest = self._longest
        while at < len(word):
            sign = self.continues if at else self.begins
            for end in range(min(len(word), at + longest), at, -1):
                piece = sign + word[at:end]
                if piece in self.ids:
                    tokens.append(Choice(self.ids[piece], piece))
                    at = end
                    break
            else:
                return unknown
        return tuple(tokens)


def _by_first_bytes(text: str) -> list[str]:
    """The characters of a text as llama.cpp counts them: by their first byte, also in what is no UTF-8."""
    data = text.encode("utf-8", "surrogateescape")
    symbols = []
    at = 0
    while at < len(data):
        end = at + (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4)[data[at] >> 4]
        symbols.append(data[at:end].decode("utf-8", "surrogateescape"))
        at = end
    return symbols
