"""The prompt whose continuation is asked about: a plain text, or what a chat template made of messages.

And what may follow it: a text is tokenized together with the prompt, because tokens reach over the border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmcli.errors import InputError
from llmcli.tokens.literal import encode_parts
from llmcli.tokens.tokenizer import Tokenizer, to_bytes


@dataclass(frozen=True)
class Prompt:
    """Stretches of text, each with whether it is literal (special tokens spelled in it are plain text).

    `contents` are the ranges [start, end) of bytes that a template took from the messages; without a
    template there are none.
    """

    parts: tuple[tuple[bytes, bool], ...]
    contents: tuple[tuple[int, int], ...] = ()
    templated: bool = False

    @classmethod
    def plain(cls, text: bytes) -> Prompt:
        """A text as it is."""
        return cls(((text, False),))

    @property
    def text(self) -> bytes:
        """All of it."""
        return b"".join(part for part, _literal in self.parts)

    def followed_by(self, text: bytes) -> Prompt:
        """The prompt with `text` written behind it."""
        return replace(self, parts=(*self.parts, (text, False)))

    def ids(self, tokenizer: Tokenizer) -> list[int]:
        """The ids that the model reads; a BOS first where it asks for one, and never an EOS at the end.

        Raises InputError for a prompt without any token.
        """
        lead = tokenizer.encode(b"", eos=False)
        own = self.own_ids(tokenizer)
        ids = own if self.templated and lead and own[: len(lead)] == lead else lead + own
        if not ids:
            raise InputError(
                "the prompt is empty, and this vocabulary has no BOS token to begin with",
                hint="give a text: PROMPT, -f FILE or standard input",
            )
        return ids

    def own_ids(self, tokenizer: Tokenizer) -> list[int]:
        """The ids of the text alone: no BOS but one that is written there."""
        parts = [part for part in self.parts if part[0]]
        if not any(literal for _part, literal in parts):
            return tokenizer.encode(self.text, bos=False, eos=False)
        return encode_parts(tokenizer, parts)


@dataclass(frozen=True)
class Continuation:
    """What a text adds to a prompt.

    `rejoined`: tokenized together, the two would be cut differently where they meet; the ids are then those
    of the text by itself.
    """

    text: str
    ids: tuple[int, ...]
    rejoined: bool


def continuation(prompt: Prompt, text: str, tokenizer: Tokenizer) -> Continuation:
    """The ids that `text` adds to those of `prompt`.

    Raises InputError for a text that adds none.

    >>> continuation(Prompt.plain(b"Once upon a"), " time", stories).ids  # one token, " time"
    (378,)
    """
    addition = to_bytes(text)
    before = prompt.own_ids(tokenizer)
    joined = prompt.followed_by(addition).own_ids(tokenizer)
    rejoined = joined[: len(before)] != before
    ids: Sequence[int] = joined[len(before) :]
    if rejoined:
        ids = _by_itself(addition, tokenizer)
    if not ids:
        raise InputError(f"{text!r} adds no token to the prompt")
    return Continuation(text, tuple(ids), rejoined)


def _by_itself(text: bytes, tokenizer: Tokenizer) -> list[int]:
    """The ids of `text` in the middle of another, whatever that is."""
    if not tokenizer.adds_space_prefix:
        return tokenizer.encode(text, bos=False, eos=False)
    # At the beginning SentencePiece puts a space before it that nobody wrote; behind a newline it does not.
    line = tokenizer.encode(b"\n", bos=False, eos=False)
    return tokenizer.encode(b"\n" + text, bos=False, eos=False)[len(line) :]
