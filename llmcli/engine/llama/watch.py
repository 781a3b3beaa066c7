"""The watch that llama.cpp keeps for Ctrl-C while it computes."""

from __future__ import annotations

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.library import lib

SLOW = 0.05
"""Seconds after which a call into llama.cpp has to be one that Ctrl-C can end in the middle."""


class Watch:
    """Lets llama.cpp look at the abort flag while a context computes, or not.

    It looks after every step of the graph, some hundred times a token, and each look is a call into Python: a
    third of the time of a tiny model's token. A call that is over at once needs no watching.
    """

    def __init__(self, abort: AbortFlag) -> None:
        # Held here: llama.cpp keeps only the address.
        self._look = lib.ggml_abort_callback(lambda _data: abort.is_set)
        self._do_not_look = lib.ggml_abort_callback()
        self._is_kept = False
        self.is_slow = True
        """Whether a single token takes longer than SLOW."""

    def keep(self, pointer: int, n_tokens: int) -> None:
        """Have the context keep watch while it computes so many tokens, unless that is over at once."""
        kept = n_tokens > 1 or self.is_slow
        if kept != self._is_kept:
            self._is_kept = kept
            lib.llama_set_abort_callback(pointer, self._look if kept else self._do_not_look, None)
