"""Ways to put a question: frames around a phrase, words for other words, and the slips of people who type."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WORDINGS = Path(__file__).parent / "corpus" / "wordings.toml"

SOUNDS = {
    "tion": ("shun", "sion", "cion"), "ance": ("ence",), "ence": ("ance",), "able": ("ible",), "ph": ("f",),
    "ck": ("k", "c"), "ll": ("l",), "ss": ("s",), "mm": ("m",), "rr": ("r",), "tt": ("t",), "dd": ("d",),
    "ei": ("ie",), "ie": ("ei",), "ea": ("ee", "e"), "ee": ("ea", "e"), "ou": ("u",), "er": ("or", "ar"),
    "or": ("er",), "a": ("e", "u"), "e": ("a", "i"), "i": ("e", "y"), "o": ("u", "a"), "u": ("o", "a"),
    "y": ("i",), "c": ("k", "s"), "s": ("c", "z"), "z": ("s",), "x": ("ks",), "k": ("c",), "m": ("n",),
}  # fmt: skip
"""Other ways to spell what sounds alike, or nearly so."""


class Typist:
    """Words questions afresh, as people type them."""

    def __init__(self, rng: random.Random, path: Path = WORDINGS) -> None:
        self.random = rng
        data = tomllib.loads(path.read_text("utf-8"))
        self.frames: dict[str, list[str]] = data["frames"]
        self.others = {
            member: [other for other in group if other != member]
            for group in data["synonyms"]["groups"]
            for member in group
        }
        longest_first = sorted(self.others, key=len, reverse=True)
        self._known = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")
        self._sounds = re.compile(rf"(?<=[a-z])(?:{'|'.join(SOUNDS)})")

    def framed(self, phrase: str, kind: str) -> str:
        """A question around a phrase: `kind` is what sort of phrase it is, a row of the frames."""
        return self.random.choice(self.frames[kind]).replace("{}", phrase)

    def typed(self, text: str, keep: str = "") -> str:
        """A question as people type it; what must be `keep`t is not touched."""
        chance = self.random.random
        if keep:
            return text.rstrip(".!") if chance() < 0.3 else text
        if chance() < 0.45:
            text = self.reworded(text)
        if chance() < 0.3:
            text = text[:1].lower() + text[1:]
        elif chance() < 0.3:
            text = text[:1].upper() + text[1:]
        if chance() < 0.1:
            text = text.lower()
        if chance() < 0.12:
            bare = text.rstrip("?.!")
            text = bare + self.random.choice(self.frames["endings"]) + text[len(bare) :]
        if chance() < 0.3:
            text = text.rstrip("?.!")
        if chance() < 0.15:
            text = self.random.choice(self.frames["openings"]) + text
        if chance() < 0.25:
            text = self.leave_out(text)
        if chance() < 0.16:
            text = self.slip(text)
            text = self.slip(text) if chance() < 0.3 else text
        return text

    def reworded(self, text: str) -> str:
        """Some of the words and phrases replaced by others that mean the same."""

        def other(found: re.Match[str]) -> str:
            return self.random.choice(self.others[found[0]]) if self.random.random() < 0.5 else found[0]

        return self._known.sub(other, text) if self.others else text

    def leave_out(self, text: str) -> str:
        """One or two words of a long question left out: what it is about must not hang on a single one."""
        words = text.split()
        for _ in range(self.random.choice((1, 1, 2))):
            if len(words) > 4:
                del words[self.random.randrange(len(words))]
        return " ".join(words)

    def slip(self, text: str) -> str:
        """A letter left out, doubled, or exchanged with the next one; or a sound spelled in another way."""
        if self.random.random() < 0.5 and (sounds := list(self._sounds.finditer(text))):
            found = self.random.choice(sounds)
            return text[: found.start()] + self.random.choice(SOUNDS[found[0]]) + text[found.end() :]
        places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
        if not places:
            return text
        i = self.random.choice(places)
        return self.random.choice(
            (
                text[:i] + text[i + 1 :],
                text[:i] + text[i] + text[i:],
                text[:i] + text[i + 1] + text[i] + text[i + 2 :],
            )
        )
