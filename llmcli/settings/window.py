"""What chat does when a conversation outgrows the context window."""

from __future__ import annotations

from dataclasses import dataclass

from llmcli.settings.option import option
from llmcli.settings.values import choice, integer

OVERFLOW = ("drop", "middle", "summarize", "shift", "stop")
REFILL = ("auto", "shift", "exact")


@dataclass(frozen=True)
class WindowOptions:
    """What leaves the window when it is full, what stays, and how the cache follows."""

    overflow: str = option(
        "drop",
        "--overflow",
        metavar="|".join(OVERFLOW),
        parse=choice(*OVERFLOW),
        help="When the window is full: leave out the oldest turns, leave out the middle, have the model "
        "summarize the oldest, cut the oldest tokens, or refuse.",
    )
    reserve: int | None = option(
        None,
        "--reserve",
        metavar="N",
        parse=integer(0),
        help="Tokens to keep free for a reply (default: -n, else the smaller of 1024 and a quarter of the "
        "window).",
    )
    keep_messages: int = option(
        0,
        "--keep-messages",
        metavar="N",
        parse=integer(0),
        help="The first N messages never leave the window.",
    )
    refill: str = option(
        "auto",
        "--refill",
        metavar="|".join(REFILL),
        parse=choice(*REFILL),
        help="After a cut: move what stays within the cache, or evaluate it anew; auto moves where the "
        "model can.",
    )
