"""Who takes up how much of the window: the tokens of each message, as the template writes them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmcli.chat.messages import SYSTEM, Message
from llmcli.chat.spelling import Spelling
from llmcli.chat.template import ChatTemplate
from llmcli.chat.transcript import message_ranges
from llmcli.chat.window import Window, split
from llmcli.tokens.tokenizer import Tokenizer, to_bytes


@dataclass(frozen=True)
class Tally:
    """Tokens by what they are for.

    `messages` has those of each message of the conversation, None for one that is outside of the window.
    `system` includes a summary, and `history` is what is neither system nor pinned.
    """

    messages: tuple[int | None, ...]
    system: int
    pinned: int
    history: int
    reserve: int
    size: int

    @property
    def used(self) -> int:
        """What the conversation takes up: all but the reserve."""
        return self.system + self.pinned + self.history

    @property
    def free(self) -> int:
        """What is left beside the reply's reserve, not below 0."""
        return max(0, self.size - self.used - self.reserve)


def take_tally(
    window: Window,
    messages: Sequence[Message],
    spelling: Spelling,
    template: ChatTemplate,
    kwargs: Mapping[str, object],
    tokenizer: Tokenizer,
    predict: int,
    unended: Sequence[int] = (),
) -> Tally:
    """Count the tokens of a conversation in its window. Raises TemplateError.

    Where the last reply met a limit, `unended` are those of its ids that were evaluated: what the template
    writes behind them is not counted, so a full window is full to the token.
    """
    cut = window.cut(messages)
    view, head, outside = window.view(messages, cut), window.head(messages, cut), window.outside(messages)
    leading, body = split(messages)
    reserve = window.budget(predict).reserve
    if not view:
        return Tally((None,) * len(messages), 0, 0, 0, reserve, window.size)
    ids, prompt = spelling(view), spelling.prompt(view)
    counts = _by_message(template, view, kwargs, ids, prompt.text, tokenizer)
    seen = window.ids(messages, cut, spelling)
    if unended:
        counts[-1] -= max(_behind(seen, unended), len(seen) - window.size)
    places = iter(range(len(head), len(view)))
    inside = [None if i in outside else counts[next(places)] for i in range(len(body))]
    system = sum(n for n, message in zip(counts, view, strict=True) if message.role == SYSTEM)
    pinned = sum(n or 0 for i, n in enumerate(inside) if (i, body[i]) in window.pinned)
    cut_away = len(ids) - len(seen)
    heads: list[int | None] = [*counts[: len(head)]]
    return Tally(
        (*heads[: len(leading)], *[0] * (len(leading) - len(heads)), *inside),
        system,
        pinned,
        sum(counts) - system - pinned - cut_away,
        reserve,
        window.size,
    )


def _behind(ids: Sequence[int], run: Sequence[int]) -> int:
    """How many of the ids stand behind the last place of a run; 0 without one."""
    starts = range(len(ids) - len(run), -1, -1) if run else ()
    return next((len(ids) - at - len(run) for at in starts if ids[at : at + len(run)] == list(run)), 0)


def _by_message(
    template: ChatTemplate,
    messages: Sequence[Message],
    kwargs: Mapping[str, object],
    ids: Sequence[int],
    text: str,
    tokenizer: Tokenizer,
) -> list[int]:
    """How many of the prompt's `ids` each message takes, with what the template writes around it.

    What the template writes between two messages counts for the later one. Where it hides which words are
    whose, each message counts its own words, and the last one what is left over.
    """
    ranges = message_ranges(template, messages, kwargs, text, asks=False)
    if len({r.message for r in ranges}) < sum(bool(m.content.strip()) for m in messages):
        own = [len(tokenizer.encode(to_bytes(m.content), bos=False, eos=False)) for m in messages[:-1]]
        return [*own, max(0, len(ids) - sum(own))]
    ends = [(len(to_bytes(text[: r.end])), r.message) for r in ranges]
    pieces = [len(tokenizer.piece(token_id)) for token_id in ids]
    counts = [0] * len(messages)
    at = len(to_bytes(text)) - sum(pieces)  # a BOS or a space that the tokenizer put before the text
    found = 0
    for length in pieces:
        while found < len(ends) - 1 and at >= ends[found][0]:
            found += 1
        counts[ends[found][1] if ends else 0] += 1
        at += length
    return counts
