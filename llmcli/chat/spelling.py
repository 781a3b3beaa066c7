"""From messages to the ids that the model reads: rendered, tokenized, and spelled as the cache has them."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence

from llmcli.chat.messages import Message
from llmcli.chat.prompt import Prompt
from llmcli.engine.reuse import Cached
from llmcli.tokens.literal import Encode, encode_parts
from llmcli.tokens.tokenizer import Tokenizer, to_bytes


class Spelling:
    """The ids of prompts for messages, each asked for worked out once.

    Where `known`, the ids of the last turn, says the same, its ids stand. `end` are ids that follow on every
    prompt: those of a reply that goes on. `encode` may remember what it tokenized for other turns.
    """

    def __init__(
        self,
        render: Callable[[Sequence[Message]], Prompt],
        tokenizer: Tokenizer,
        known: Sequence[int],
        end: Sequence[int] = (),
        encode: Encode | None = None,
    ) -> None:
        self._render, self._tokenizer, self._encode, self._end = render, tokenizer, encode, end
        self._known = Cached(known, tokenizer)
        self._prompts: dict[tuple[Message, ...], Prompt] = {}
        self._ids: dict[tuple[Message, ...], list[int]] = {}

    def __call__(self, messages: Sequence[Message]) -> list[int]:
        """The ids of the prompt for these messages. Raises TemplateError."""
        key = tuple(messages)
        if key not in self._ids:
            fresh = prompt_ids(self.prompt(messages), self._tokenizer, self._encode)
            self._ids[key] = [*self._known.reuse(fresh), *self._end]
        return list(self._ids[key])

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The prompt for these messages. Raises TemplateError."""
        key = tuple(messages)
        if key not in self._prompts:
            self._prompts[key] = self._render(messages)
        return self._prompts[key]


def prompt_ids(prompt: Prompt, tokenizer: Tokenizer, encode: Encode | None = None) -> list[int]:
    """The ids of a prompt, with a BOS before it where the model asks for one and the template wrote none.

    `encode`: see `encode_parts`.
    """
    parts = [(to_bytes(part.text, "a message"), part.literal) for part in prompt.parts]
    ids = encode_parts(tokenizer, parts, encode)
    lead = tokenizer.encode(b"", eos=False)
    return ids if ids[: len(lead)] == lead else lead + ids


def whole_characters(reply: Message, ids: Sequence[int], tokenizer: Tokenizer) -> tuple[Message, list[int]]:
    """A reply and the ids that it is made of, both without a character at the end that is not whole.

    A reply that met its limit may end with the first bytes of a character. It goes on from before them.
    """
    kept, cut = list(ids), b""
    while kept and _ends_within_character(b"".join(map(tokenizer.piece, kept[-4:]))):
        cut = tokenizer.piece(kept.pop()) + cut
    lost = cut.decode("utf-8", "replace")
    if reply.content:
        return reply._replace(content=reply.content.removesuffix(lost)), kept
    return reply._replace(reasoning=reply.reasoning.removesuffix(lost)), kept


def _ends_within_character(data: bytes) -> bool:
    decoder = getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return bool(decoder.getstate()[0])
