"""The probabilities of a reply: while it is written, and afterwards."""

from __future__ import annotations

import math
from collections.abc import Generator as Events
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmcli.chat.conversation import Conversation, prompt_ids
from llmcli.chat.messages import ASSISTANT
from llmcli.chat.reply import Event, Generated, Reply
from llmcli.engine.protocol import Generator, Logits, Progress, Scorer
from llmcli.errors import UsageError
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    from llmcli.probs.score import Score


@dataclass(frozen=True)
class Written:
    """The ids of a prompt and of the reply to it, which begins at `begins`."""

    ids: tuple[int, ...]
    begins: int


def with_probs(events: Events[Event, None, None], engine: Generator) -> Events[Event, None, None]:
    """The events of a turn, each token with the probability that the model gave it.

    A token's event comes before the token is evaluated: the engine still has the logits it was drawn from.
    """
    if not isinstance(engine, Logits):
        raise UsageError("this engine shows no probabilities")
    from llmcli.probs.distribution import log_softmax

    with closing(events):
        for event in events:
            if isinstance(event, Generated) and event.id is not None:
                event = replace(event, prob=math.exp(log_softmax(engine.logits())[event.id]))
            yield event


def last_written(conversation: Conversation, last: Reply | None) -> Written:
    """The last reply's ids: as they were written, where `last` is that reply; else as its text reads.

    Raises UsageError where there is none.
    """
    messages, tokenizer = conversation.messages, conversation.engine.tokenizer
    if not messages or messages[-1].role != ASSISTANT:
        raise UsageError("there is no reply to look at")
    if last is not None and last.message is messages[-1]:
        return Written(last.ids, last.begins)
    prompt = prompt_ids(conversation.prompt(messages[:-1]), tokenizer)
    ids = tokenizer.encode(to_bytes(messages[-1].content), parse_special=False, bos=False, eos=False)
    return Written((*prompt, *ids), len(prompt))


def score_written(
    conversation: Conversation, written: Written, k: int, on_progress: Progress | None
) -> Score:
    """Each token of a reply with its probability and the `k` most probable in its place.

    Raises UsageError for a reply without tokens.
    """
    if not isinstance(conversation.engine, Scorer):
        raise UsageError("this engine shows no probabilities")
    if written.begins >= len(written.ids):
        raise UsageError("the last reply has no tokens")
    from llmcli.probs.score import score_after

    return score_after(conversation.engine, written.ids, written.begins, k, on_progress=on_progress)


def with_another(written: Written, at: int, token_id: int) -> Sequence[int]:
    """The reply's ids up to the token `at`, counted from 0, and `token_id` in its place."""
    return [*written.ids[written.begins : written.begins + at], token_id]
