"""A reply as JSON, as events, and as a line of figures."""

from __future__ import annotations

from typing import Any

from llmcli.chat.reply import Generated, Reply
from llmcli.engine.offload import Offload
from llmcli.render.data import token_data


def reply_data(
    reply: Reply, model: str, load_seconds: float, offload: Offload, session: str | None
) -> dict[str, Any]:
    """A reply with everything that is known of it, ready for JSON; times in milliseconds."""
    usage, timings, outside = reply.usage, reply.timings, reply.outside
    return {
        "model": model,
        "session": session,
        "message": {"role": reply.message.role, "content": reply.message.content},
        "reasoning": reply.message.reasoning or None,
        "finish_reason": reply.finish_reason,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "evaluated_tokens": usage.evaluated_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
        },
        "context": {
            "size": reply.context_size,
            "used": reply.context_used,
            "policy": outside.policy,
            "dropped_messages": outside.messages,
            "dropped_tokens": outside.tokens,
            "dropped_now": {"messages": outside.messages_now, "tokens": outside.tokens_now},
        },
        "timings": {
            "load_ms": _ms(load_seconds),
            "prefill_ms": _ms(timings.prefill),
            "first_token_ms": _ms(timings.first_token),
            "decode_ms": _ms(timings.decode),
            "prefill_tps": _rate(usage.evaluated_tokens, timings.prefill),
            "decode_tps": _rate(usage.completion_tokens, timings.decode),
        },
        "seed": reply.seed,
        "offload": {"layers": offload.layers, "of": offload.of, "devices": list(offload.devices)},
    }


def token_event(event: Generated) -> dict[str, Any]:
    """One token of a reply as an event.

    `content` and `reasoning` are the text that can be shown after it, empty while a character is incomplete.
    """
    token = token_data(event.id, event.piece) if event.id is not None else {}
    return {
        "event": "token",
        **token,
        "content": "".join(text for text, thinking in event.shown if not thinking),
        "reasoning": "".join(text for text, thinking in event.shown if thinking),
        **({} if event.prob is None else {"prob": event.prob}),
    }


def stats_line(reply: Reply, offload: Offload) -> str:
    """The figures of a reply in one line for a person."""
    usage, timings = reply.usage, reply.timings
    return (
        f"{usage.completion_tokens} tokens, {_rate(usage.completion_tokens, timings.decode):.1f} tokens/s; "
        f"first after {timings.first_token:.2f} s; "
        f"prompt {usage.prompt_tokens} tokens ({usage.evaluated_tokens} evaluated, "
        f"{usage.cached_tokens} cached); cache {reply.context_used} of {reply.context_size}; "
        f"{reply.finish_reason}; seed {reply.seed}" + (f"; offloaded {offload}" if offload.layers else "")
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 2) if seconds > 0 else 0.0
