"""A summary in the place of old turns, written by the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmcli.chat.messages import USER, Message
from llmcli.chat.reply import Reply
from llmcli.chat.spelling import Spelling
from llmcli.chat.turn import take_turn
from llmcli.engine.interrupt import AbortFlag
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
) -> Reply | None:
    """What the model says when it is asked to summarize `messages`; None where the request does not fit.

    The request follows on the conversation as it stands in the cache, so that it alone is evaluated. What
    gives replies a form (grammar, schema, stop strings) is not for a summary. Raises TemplateError,
    InterruptedByUser on Ctrl-C.
    """
    request = [*messages, Message(USER, REQUEST)]
    ids = spelling(request)
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
    *_, reply = take_turn(engine, ids, free, abort, on_prefill=on_prefill)
    if isinstance(reply, Reply) and reply.finish_reason != "cancelled":
        return reply
    raise InterruptedByUser
