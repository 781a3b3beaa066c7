"""Text as llama.cpp's WordPiece (BERT) sees it: lower case, no accents, cut into words and single signs."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

# The blocks that BERT's own tokenizer takes for Chinese; the hole in the fifth is Hugging Face's.
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_NOT_WHITE = "\x1c\x1d\x1e\x1f"
"""What Python counts as white space and Unicode does not."""


@dataclass(frozen=True)
class SeenWord:
    """A word as the vocabulary sees it; for each of its characters, the place in the text it comes from."""

    text: str
    origins: tuple[int, ...]


def split_words(text: str, *, lowercase: bool = True, strip_accents: bool = True) -> list[SeenWord]:
    """The words of a text.

    >>> [word.text for word in split_words("Café, 漢字")]
    ['cafe', ',', '漢', '字']
    """
    words: list[SeenWord] = []
    run: list[tuple[str, int]] = []

    def finish() -> None:
        if run:
            words.append(SeenWord("".join(c for c, _ in run), tuple(at for c, at in run for _ in c)))
            run.clear()

    for at, original in enumerate(text):
        character = unicodedata.normalize("NFD", original)[0] if strip_accents else original
        category = unicodedata.category(character)
        if character.isspace() and character not in _NOT_WHITE:
            finish()
            continue
        if (
            category in ("Cc", "Cf", "Cs", "Co")
            or character == "\ufffd"
            or (strip_accents and category[0] == "M")
        ):
            continue
        seen = _lower(character) if lowercase else character
        if stands_alone(character, category):
            finish()
            words.append(SeenWord(seen, (at,) * len(seen)))
        else:
            run.append((seen, at))
    finish()
    return words


def stands_alone(character: str, category: str) -> bool:
    """Whether a character is a word by itself: punctuation, an ASCII symbol, a Chinese character."""
    ascii_symbol = category[0] == "S" and character < "\x7f"
    return category[0] == "P" or ascii_symbol or any(a <= ord(character) <= b for a, b in _CHINESE)


def _lower(character: str) -> str:
    """Lower case, where it is one character."""
    lower = character.lower()
    return lower if len(lower) == 1 else character
