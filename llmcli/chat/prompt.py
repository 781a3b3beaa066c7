"""The prompt, and the guard that keeps a message's words from becoming special tokens.

A prompt is tokenized with its special tokens parsed: the template's ``<|im_end|>`` has to become
one id. A user who writes ``<|im_end|>`` must get plain text instead, or could speak in another
role's name. But a rendered prompt is one string, in which the two look alike. So, around the
rendering, a ``Guard``

1. **hides** every special that a message spells behind one private-use character, chosen to occur
   nowhere else in what goes into the rendering. Nothing can forge it, and a template's ``trim``,
   ``upper``, ``split`` or slice can't break it;
2. **marks** where the contents begin and end, in a second rendering, to find specials that template
   and content spell together (``<|im_`` and ``end|>``): the prompt is cut there;
3. **reveals** the result as parts. Each is tokenized by itself, the literal ones as plain text:

    "<s>hi </s><sep>", where the message was "hi </s>" -> "<s>hi ", literal "</s>", "<sep>"

What it can't see: a special that a template builds *out of* a content, by taking pieces of it apart
and joining them anew; and, in a template whose text depends on a content's very first or last
character, a special that straddles a content's edge (step 2 finds another text then, and is left out).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, count
from typing import TYPE_CHECKING

from llmcli.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True)
class Part:
    """A stretch of a prompt, to be tokenized by itself; a literal one without parsing specials."""

    text: str
    literal: bool


@dataclass(frozen=True)
class Prompt:
    """What the model is to read. Without specials in the messages, it is one non-literal part."""

    parts: tuple[Part, ...]
    system_merged: bool
    """The template takes no system message: its text stands before the first user message's."""

    @property
    def text(self) -> str:
        """The whole prompt, as one string."""
        return "".join(part.text for part in self.parts)


class Guard:
    """Hides, marks and reveals what the messages of one rendering spell.

    ``specials`` are the texts of the vocabulary's special tokens, ``inputs`` everything that goes
    into the rendering. Raises TemplateError when the inputs leave no private-use character free.
    """

    def __init__(self, specials: Sequence[str], inputs: Iterable[str]) -> None:
        self._texts = texts = [*inputs, *specials]
        self._pattern = _any_of(tuple(specials))
        self._longest = max(map(len, specials), default=0)
        self._free = _private_characters(texts)
        self._edge = self._take()
        self._aliases: dict[str, str] = {}
        self.probe = next(number for number in map(str, count(10**9)) if not self._given(number))
        """A number that no input contains: what becomes of it shows what becomes of any content."""

    def hide(self, content: str) -> str:
        """``content`` with every special in it, the longest first, behind a character."""
        if self._pattern is None:
            return content
        return self._pattern.sub(lambda found: self._alias(found[0]), content)

    def mark(self, hidden: str) -> str:
        """``hidden`` between two edge marks, inside its outer white space, which templates trim."""
        core = hidden.strip()
        if not core:
            return hidden
        start = hidden.index(core)
        end = start + len(core)
        return f"{hidden[:start]}{self._edge}{core}{self._edge}{hidden[end:]}"

    def cut(self, rendered: str, marked: str) -> str:
        """``rendered`` with a mark left at each content's edge that a special straddles.

        ``marked`` is the rendering of the marked contents. Where the marks made the template write
        something else, they say nothing about ``rendered``, which then stays as it is.
        """
        pieces = marked.split(self._edge)
        if "".join(pieces) != rendered:
            return rendered
        cuts = [
            self._edge if self._straddled(rendered, edge) else ""
            for edge in accumulate(map(len, pieces[:-1]))
        ]
        return "".join(piece + cut for piece, cut in zip(pieces, [*cuts, ""], strict=True))

    def reveal(self, rendered: str) -> tuple[Part, ...]:
        """The rendered text in parts: what was hidden is literal, everything else is not."""
        shown = {alias: special for special, alias in self._aliases.items()}
        # A template may write JSON in ASCII ("tojson(ensure_ascii=true)"), and aliases with it.
        escaped = {_json(alias): _json(special) for alias, special in shown.items()}
        shown |= {alias: escaped[alias] for alias in escaped if not self._given(alias)}
        borders = re.compile("(" + "|".join(map(re.escape, [self._edge, *shown])) + ")")
        parts = tuple(
            Part(shown.get(piece, piece), literal=piece in shown)
            for piece in borders.split(rendered)
            if piece not in ("", self._edge)
        )
        return parts or (Part("", literal=False),)

    def _alias(self, special: str) -> str:
        if special not in self._aliases:
            self._aliases[special] = self._take()
        return self._aliases[special]

    def _take(self) -> str:
        character = next(self._free, None)
        if character is None:
            raise TemplateError("the conversation uses all of Unicode's private-use characters")
        return character

    def _given(self, text: str) -> bool:
        return any(text in given for given in self._texts)

    def _straddled(self, text: str, edge: int) -> bool:
        """Whether a special begins before ``edge`` and ends behind it."""
        if self._pattern is None:
            return False
        at, end = max(0, edge - self._longest + 1), edge + self._longest - 1
        while (found := self._pattern.search(text, at, end)) and found.start() < edge:
            if found.end() > edge:
                return True
            at = found.start() + 1
        return False


@lru_cache(maxsize=8)
def _any_of(specials: tuple[str, ...]) -> re.Pattern[str] | None:
    """A pattern for any of the specials, the longest one where several begin."""
    longest_first = sorted(filter(None, set(specials)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _private_characters(texts: Iterable[str]) -> Iterator[str]:
    """The private-use characters of planes 15 and 16 that no text contains."""
    taken = set[str]().union(*texts)
    for plane in (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE)):
        yield from (character for character in map(chr, plane) if character not in taken)


def _json(text: str) -> str:
    """``text`` as it stands in a JSON string, in ASCII."""
    return json.dumps(text)[1:-1]
