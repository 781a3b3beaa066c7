r"""Where a text can be cut so that its parts, tokenized alone, give the ids of the whole.

llama.cpp's cost grows with a text's length, and one text takes one processor. So long texts are cut, but only
where it is certain that no token reaches across and nothing on one side depends on the other.

BPE: a pre-tokenizer's pattern cuts the text into words, from left to right, and tokens lie within words. A
place is safe if every scan cuts there, whatever lies around it. For the patterns listed here these are:

- before a space that follows a character that is no white space. A space can only begin a word (` ?\p{L}+`)
  or belong to a run of white space, and no pattern looks further ahead than to the next character, which
  fails to be a letter, a digit or a newline just as the end of the text does.
- after a newline between two characters that are no white space. It is a run of one: `\s+(?!\S)` gives way,
  `\s*[\r\n]+` takes it, `[^\s\p{L}\p{N}]+[\r\n]*` ends with it. (A slash after it is left out: some patterns
  write `[\r\n/]*`.)

Patterns in several stages (falcon's punctuation, starcoder's digits) cut more, but nowhere across a space or
a newline. Those of deepseek-llm, deepseek-coder and gemma cut at newlines first: only the newlines are used.

SentencePiece: llama.cpp merges two neighbours only into something that is a token. Where no token of the
vocabulary has the last byte before and the first byte after a place in it side by side, nothing ever reaches
across it.

WordPiece cuts at white space before anything else.

Special tokens are found in the text first: no cut lies within one, nor where one swallows white space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmcli.tokens.tokenizer import SpecialToken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPACES_AND_NEWLINES = frozenset(
    [
        "a.x-4.0",
        "bailingmoe",
        "bailingmoe2",
        "chatglm-bpe",
        "codeshell",
        "command-r",
        "dbrx",
        "deepseek-r1-qwen",
        "deepseek-v3",
        "default",
        "exaone",
        "exaone4",
        "f2llmv2",
        "falcon",
        "falcon-h1",
        "falcon3",
        "gigachat",
        "glm4",
        "glm5",
        "gpt-2",
        "gpt-4o",
        "granite-docling",
        "grok-2",
        "hunyuan",
        "hunyuan-dense",
        "jais",
        "jais-2",
        "jina-v5-nano",
        "joyai-llm",
        "kanana2",
        "kormo",
        "lfm2",
        "llada-moe",
        "llama-bpe",
        "llama-v3",
        "llama3",
        "llama4",
        "megrez",
        "mellum",
        "mellum2",
        "midm-2.0",
        "minerva-7b",
        "minicpm5",
        "minimax-m2",
        "mpt",
        "olmo",
        "phi-2",
        "pixtral",
        "qwen2",
        "qwen35",
        "refact",
        "seed-coder",
        "smaug-bpe",
        "smollm",
        "solar-open",
        "stablelm2",
        "starcoder",
        "talkie",
        "tekken",
        "trillion",
        "ufakzeka",
    ]
)
"""Values of tokenizer.ggml.pre whose patterns are safe at spaces and newlines."""
NEWLINES = frozenset({"deepseek-coder", "deepseek-llm", "gemma4", "laguna", "sarvam-moe"})
"""Those that are safe at newlines."""

# The last bytes of a character that is certainly no white space, and the first ones of another: of the
# three-byte characters E1 and most of E2 are left out, where the wide spaces lie, and U+3000. Each is a
# character of its own in llama.cpp's lenient decoding, too, whatever bytes stand before it.
_WORD_ENDS = (
    rb"(?:(?<=[!-~])|(?<=[\xc3-\xdf][\x80-\xbf])|(?<=\xe0[\xa4-\xbf][\x80-\xbf])"
    rb"|(?<=\xe2\x80[\x90-\xa7])|(?<=\xe3\x80[\x81-\xbf])|(?<=\xe3[\x81-\xbf][\x80-\xbf])"
    rb"|(?<=[\xe4-\xef][\x80-\xbf]{2})|(?<=\xf0[\x90-\xbf][\x80-\xbf]{2}))"
)
_WORD_BEGINS = (
    rb"(?=[!-.0-~\xc3-\xdf\xe4-\xef]|\xe0[\xa4-\xbf]|\xe2\x80[\x90-\xa7]|\xe3\x80[\x81-\xbf]"
    rb"|\xe3[\x81-\xbf]|\xf0[\x90-\xbf])"
)
_NEWLINE = rb"\n" + _WORD_BEGINS
# SentencePiece takes as many bytes for a character as its first byte says. However it began before, after
# three bytes that are whole characters it is in step.
_IN_STEP = (
    rb"(?:(?<=[\x00-\x7f]{3})|(?<=[\x00-\x7f][\xc2-\xdf][\x80-\xbf])"
    rb"|(?<=[\xc2-\xdf][\x80-\xbf][\x00-\x7f])|(?<=[\xe1-\xef][\x80-\xbf]{2}))"
)
_SPELLED_SPACE = "\u2581".encode()


@dataclass(frozen=True)
class Cuts:
    """The safe places of a vocabulary: where `pattern` ends, unless a text in `unbroken` reaches across.

    A vocabulary that `puts_space` before a text does so before every part. The part behind a cut begins with
    a space, which is then left to the vocabulary, or with a newline, before which one token is taken off.
    """

    pattern: re.Pattern[bytes]
    unbroken: tuple[bytes, ...] = ()
    puts_space: bool = False

    def after(self, text: bytes, start: int) -> int | None:
        """The first safe place at or after `start`; None where there is none in sight.

        >>> Cuts.of_bpe("gpt-2", ()).after(b"one two three", 4)
        7
        """
        reach = max(map(len, self.unbroken), default=0)
        while match := self.pattern.search(text, start):
            at = match.end()
            if at >= len(text) or at + reach > len(text):
                return None
            if not any(self._lies_across(text, at, special) for special in self.unbroken):
                return at
            start = at + 1
        return None

    def parts(self, text: bytes, size: int) -> Iterator[bytes]:
        """`text` in parts of `size` bytes or a little more; joined, they are the text."""
        at = 0
        while (end := self.after(text, at + size)) is not None:
            yield text[at:end]
            at = end
        yield text[at:]

    def encode_rest(self, encode: Callable[[bytes], NDArray[np.uint32]], part: bytes) -> NDArray[np.uint32]:
        """The ids of a part that does not begin its text."""
        if not self.puts_space:
            return encode(part)
        if part.startswith(b" "):
            return encode(part[1:])
        return encode(part)[1:]

    def _lies_across(self, text: bytes, at: int, special: bytes) -> bool:
        return special in text[max(0, at - len(special) + 1) : at + len(special) - 1]

    @classmethod
    def of_bpe(cls, pre: str, specials: Sequence[SpecialToken]) -> Cuts | None:
        """The cuts for a BPE vocabulary with the pre-tokenizer `pre`; None where none is known to be safe."""
        if pre not in SPACES_AND_NEWLINES | NEWLINES or any(special.strips_left for special in specials):
            return None
        place = rb"(?:(?= )|" + _NEWLINE + b")" if pre in SPACES_AND_NEWLINES else _NEWLINE
        pattern = _WORD_ENDS + _not_after(_before_no_cut(specials)) + place
        return cls(re.compile(pattern), _unbroken(specials))

    @classmethod
    def of_word_piece(cls, specials: Sequence[SpecialToken]) -> Cuts | None:
        """The cuts for a WordPiece vocabulary."""
        return cls.of_bpe("default", specials)

    @classmethod
    def of_sentence_piece(
        cls, tokens: Iterable[bytes], specials: Sequence[SpecialToken], *, puts_space: bool, newline_ids: int
    ) -> Cuts | None:
        """The cuts for a SentencePiece vocabulary with these `tokens`, spaces spelled as U+2581.

        `newline_ids` is how many ids a newline alone has: with `puts_space` it must be two.
        """
        if any(special.strips_left for special in specials):
            return None
        # Not behind a space: a part that is a space and nothing else would have nothing left.
        before_space, before_newline = set(b" "), set(b"\n ")
        joined = b"\xff".join(tokens)
        before_space.update(*re.findall(rb"[^\xff](?=" + _SPELLED_SPACE + rb")", joined))
        before_newline.update(*re.findall(rb"[^\xff](?=\n)", joined))
        # A space that the vocabulary puts before a part would also stand behind a special token.
        ends = _before_no_cut(specials) | (_last_bytes(specials) if puts_space else set())
        firsts = {special.text[0] for special in specials}
        places = []
        if ord(" ") not in firsts:
            places.append(_not_after(before_space | ends) + rb"(?= " + _other_than(firsts) + rb")")
        # Behind a cut before a newline stands what the vocabulary puts before a text: one token.
        alone = newline_ids == 2 and _SPELLED_SPACE[-1] not in before_newline
        if (alone or not puts_space) and ord("\n") not in firsts:
            places.append(_not_after(before_newline | ends) + rb"(?=\n)")
        if not places:
            return None
        pattern = _IN_STEP + rb"(?:" + b"|".join(places) + rb")"
        return cls(re.compile(pattern), _unbroken(specials), puts_space)


def _unbroken(specials: Sequence[SpecialToken]) -> tuple[bytes, ...]:
    """The texts that a cut at a space or a newline could lie in."""
    return tuple(s.text for s in specials if re.search(rb".[ \n]|\n.", s.text, re.DOTALL))


def _before_no_cut(specials: Sequence[SpecialToken]) -> set[int]:
    """The bytes behind which a special token may be swallowing white space."""
    if not any(special.strips_right for special in specials):
        return set()
    return _last_bytes(specials) | set(b" \t\n\v\f\r")


def _last_bytes(specials: Sequence[SpecialToken]) -> set[int]:
    return {special.text[-1] for special in specials}


def _not_after(bytes_: set[int]) -> bytes:
    return rb"(?<!" + _set(bytes_) + rb")" if bytes_ else b""


def _other_than(bytes_: set[int]) -> bytes:
    return rb"(?!" + _set(bytes_) + rb")[\x00-\xff]" if bytes_ else rb"[\x00-\xff]"


def _set(bytes_: set[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(bytes_)) + b"]"
