"""The watch that llama.cpp keeps for Ctrl-C while it computes."""

from __future__ import annotations

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.library import lib


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

    def keep(self, pointer: int, kept: bool) -> None:
        """Have the context keep watch from now on, or keep none."""
        if kept != self._is_kept:
            self._is_kept = kept
            lib.llama_set_abort_callback(pointer, self._look if kept else self._do_not_look, None)
