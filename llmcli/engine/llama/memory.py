"""What can be done with llama.cpp's cache, and what it would get wrong in silence."""

from __future__ import annotations

from typing import Any

from llmcli.engine.llama.aside import PROMPT
from llmcli.engine.llama.library import lib


def can_shift(model: int, memory: Any) -> bool:
    """Whether what stands further back in the cache can be moved up.

    Not with a sliding window, which may have lost what is to move, nor with a recurrent state. llama.cpp says
    yes for a recurrent state, as its positions can be moved; but nothing can be taken out of its middle.
    """
    recurs = lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model)
    return bool(lib.llama_memory_can_shift(memory)) and not (recurs or sliding_window(model))


def can_step_back(model: int, memory: Any, n_cached: int, kept: int) -> bool:
    """Whether what the token after the first `kept` attends to is still in a cache of `n_cached` tokens.

    A sliding-window model overwrites what has left its window, and says so nowhere: stepping back into it
    would give other logits in silence.
    """
    window = sliding_window(model)
    if not window or kept >= n_cached:
        return True
    oldest: int = lib.llama_memory_seq_pos_min(memory, PROMPT)
    return oldest <= max(0, kept - window)


def sliding_window(model: int) -> int:
    """How many tokens a model with a sliding window attends to; 0 where it has none."""
    return int(lib.llama_model_n_swa(model))
