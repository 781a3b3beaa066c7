"""A summary in the place of old turns, written by the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from llmcli.chat.messages import USER, Message
from llmcli.chat.reply import Reply
from llmcli.chat.spelling import Spelling
from llmcli.chat.turn import take_turn
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.plan import common_prefix
from llmcli.engine.protocol import Generator, Progress
from llmcli.errors import InterruptedByUser
from llmcli.settings.sampling import SamplingOptions

REQUEST = (
    "Summarize our conversation so far in a few sentences, for yourself to go on from. Keep names, numbers, "
    "decisions and open questions. Write only the summary."
)


def write_summary(
    engine: Generator,
    messages: Sequence[Message],
    spelling: Spelling,
    sampling: SamplingOptions,
    limit: int,
    abort: AbortFlag,
    on_prefill: Progress | None = None,
    *,
    keeps_cache: bool = False,
) -> Reply | None:
    """What the model says when it is asked to summarize `messages`; None where the request does not fit.

    The request follows on them as they stand in the cache, so that it alone is evaluated. What stands behind
    them is lost, but with `keeps_cache`. What gives replies a form (grammar, schema, stop strings) is not for
    a summary. Raises TemplateError, InterruptedByUser on Ctrl-C.
    """
    ids = spelling([*messages, Message(USER, REQUEST)])
    if len(ids) + limit > engine.context_size:
        return None
    plain = SamplingOptions()
    free = replace(
        sampling,
        grammar=plain.grammar,
        grammar_file=plain.grammar_file,
        json_schema=plain.json_schema,
        json_schema_file=plain.json_schema_file,
        stop=plain.stop,
        predict=limit,
    )
    with _set_aside(engine, ids, limit) if keeps_cache else nullcontext():
        *_, reply = take_turn(engine, ids, free, abort, on_prefill=on_prefill)
    if isinstance(reply, Reply) and reply.finish_reason != "cancelled":
        return reply
    raise InterruptedByUser


@contextmanager
def _set_aside(engine: Generator, prompt: Sequence[int], limit: int) -> Iterator[None]:
    """Evaluate a prompt and up to `limit` tokens, and have what the cache holds now back at the end.

    As much of the end of it is lost as there is no room for meanwhile.
    """
    cached = list(engine.cached)
    behind = len(cached) - common_prefix(cached, prompt, len(prompt))
    lacking = max(0, len(prompt) + limit + behind - engine.context_size)
    if lacking >= behind:
        yield
        return
    if lacking:
        engine.ready(cached[:-lacking])
    with engine.aside():
        yield
