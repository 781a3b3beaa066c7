"""A context: the model's KV cache, what is in it, and the logits after it."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.library import lib, log
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.new_context import new_context
from llmcli.engine.plan import plan
from llmcli.engine.protocol import Progress
from llmcli.errors import EngineError, ModelError, UsageError, WindowFullError
from llmcli.gguf.header import read_header
from llmcli.settings.engine import EngineOptions

DECODED, NO_ROOM, ABORTED = 0, 1, 2
"""What llama_decode returns; anything below zero is a failure."""

SLOW = 0.05
"""Seconds after which a call into llama.cpp has to be one that Ctrl-C can end in the middle."""


class LlamaContext:
    """The ids in the cache and the logits after the last one. A context manager."""

    def __init__(
        self, model: LlamaModel, options: EngineOptions | None = None, abort: AbortFlag | None = None
    ) -> None:
        """Make a context.

        Raises UsageError for options that llama.cpp would abort on, ModelError with llama.cpp's reason where
        it refuses them, InterruptedByUser on Ctrl-C.
        """
        self._pointer: int | None = None
        self._adapters: list[Any] = []
        self._model = model
        self._abort = abort or AbortFlag()
        self._cached: list[int] = []
        self._has_logits = False
        options = options or EngineOptions()
        with self._abort.calling():
            self._pointer = new_context(model, options)
        model.used_by(self)
        self._memory = lib.llama_get_memory(self._pointer)
        self.size: int = lib.llama_n_ctx(self._pointer)
        self.can_shift = bool(lib.llama_memory_can_shift(self._memory)) and not self._slides()
        self._n_vocab = model.vocabulary.n_tokens
        self._n_batch: int = lib.llama_n_batch(self._pointer)
        self._tokens = (lib.llama_token * self._n_batch)()
        self._batch = lib.llama_batch_get_one(self._tokens, 1)
        flag = self._abort
        # Held here: llama.cpp keeps only the address.
        self._callback = lib.ggml_abort_callback(lambda _data: flag.is_set)
        self._no_callback = lib.ggml_abort_callback()
        self._is_watched = False
        self._is_slow = True
        with self._abort.calling():
            self._apply_adapters(options)
        if self._abort.is_set:
            self.close()
            self._abort.check()

    @property
    def pointer(self) -> int:
        """The C context. Raises EngineError after `close`."""
        if self._pointer is None:
            raise EngineError("the context is closed")
        return self._pointer

    @property
    def cached(self) -> Sequence[int]:
        """The ids in the cache; not to be changed."""
        return self._cached

    def ready(
        self, wanted: Sequence[int], *, may_shift: bool = False, on_progress: Progress | None = None
    ) -> int:
        """Make the cache hold exactly `wanted`; how many tokens were evaluated for it.

        With `may_shift`, what stood further back may be moved up instead of being evaluated again: cheap,
        but not the same to the last digit. Raises WindowFullError where `wanted` does not fit (and changes
        nothing), InterruptedByUser on Ctrl-C (the cache then holds a beginning of `wanted`).
        """
        pointer = self.pointer
        if not wanted:
            raise EngineError("nothing to evaluate: the prompt has no tokens")
        if len(wanted) > self.size:
            raise WindowFullError(
                f"the prompt has {len(wanted):,} tokens, the context window only {self.size:,}",
                hint="shorten it, or ask for a larger window with -c",
            )
        if self._has_logits and self._cached == list(wanted):
            return 0
        for token_id in wanted:
            self._check(token_id)
        steps = plan(self._cached, wanted, may_shift and self.can_shift)
        kept = steps.kept
        self._has_logits = False
        with self._abort.calling():
            if not self._can_step_back_to(kept) or not all(
                self._cut(start, end) for start, end in reversed(steps.cuts)
            ):
                self._clear()
                kept = 0
        # Who watches the progress wants to see it move: as often as costs nothing.
        step = lib.llama_n_ubatch(pointer) if on_progress else self._n_batch
        for start in range(kept, len(wanted), step):
            chunk = wanted[start : start + step]
            if on_progress:
                on_progress((start - kept) / (len(wanted) - kept))
            self._tokens[: len(chunk)] = chunk
            self._decode(pointer, chunk)
            self._abort.check()
        if on_progress:
            on_progress(1.0)
        return len(wanted) - kept

    def feed(self, token_id: int) -> None:
        """Append one token and compute the next logits.

        Raises WindowFullError when the window is full, InterruptedByUser on Ctrl-C; either way the cache is
        as it was before.
        """
        self._check(token_id)
        if len(self._cached) >= self.size:
            raise WindowFullError(f"the context window of {self.size:,} tokens is full")
        self._tokens[0] = token_id
        self._decode(self.pointer, (token_id,))

    def logits(self) -> NDArray[np.float32]:
        """The raw scores of the next token: a view on llama.cpp's memory, shape (n_vocab,), float32.

        It dies at the next evaluation. Raises EngineError where nothing was evaluated.
        """
        pointer = self.pointer_with_logits()
        address = lib.llama_get_logits_ith(pointer, -1)
        view = np.ctypeslib.as_array(address, shape=(self._n_vocab,))
        view.flags.writeable = False
        return view

    def pointer_with_logits(self) -> int:
        """The C context, for a sampler. Raises EngineError where there are no logits to sample from."""
        if not self._has_logits:
            raise EngineError("no logits: nothing was evaluated since the cache was changed")
        return self.pointer

    def close(self) -> None:
        """Free the cache. Every call raises EngineError from now on."""
        if self._pointer is not None:
            if self._model.is_open:  # the garbage collector may have taken the model first
                lib.llama_free(self._pointer)
            self._pointer = None
            self._has_logits = False
        while self._adapters:
            adapter = self._adapters.pop()
            if self._model.is_open:
                lib.llama_adapter_lora_free(adapter)

    def __enter__(self) -> LlamaContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self._n_vocab:
            raise UsageError(
                f"token id {token_id} is not in the vocabulary", hint=f"ids run from 0 to {self._n_vocab - 1}"
            )

    def _cut(self, start: int, end: int) -> bool:
        """Take [start, end) out of the cache and move up what follows; False where the model can't."""
        if not lib.llama_memory_seq_rm(self._memory, 0, start, end):
            return False
        if end < len(self._cached):
            lib.llama_memory_seq_add(self._memory, 0, end, -1, start - end)
        del self._cached[start:end]
        return True

    def _can_step_back_to(self, kept: int) -> bool:
        """Whether what the token after the first `kept` attends to is still in the cache.

        A sliding-window model overwrites what has left its window, and says so nowhere: stepping back into it
        would give other logits in silence.
        """
        window: int = lib.llama_model_n_swa(self._model.pointer)
        if not window or kept >= len(self._cached):
            return True
        oldest: int = lib.llama_memory_seq_pos_min(self._memory, 0)
        return oldest <= max(0, kept - window)

    def _clear(self) -> None:
        lib.llama_memory_clear(self._memory, True)
        self._cached.clear()

    def _decode(self, pointer: int, ids: Sequence[int]) -> None:
        """Evaluate the ids that stand in `self._tokens`; on failure the cache is as it was before."""
        self._model.check_file()
        self._batch.n_tokens = len(ids)
        self._has_logits = False
        abort = self._abort
        self._watch(pointer, len(ids) > 1 or self._is_slow)
        started = time.perf_counter()
        # Up to the end of the block a Ctrl-C only sets the flag: the cache and our account of it stay one.
        abort.in_call = True
        try:
            status = lib.llama_decode(pointer, self._batch)
            if status == DECODED:
                self._is_slow = time.perf_counter() - started > SLOW
                self._cached.extend(ids)
                self._has_logits = True
                return
            # Part of the batch may have been evaluated; we know only of what stood there before.
            self._cut_tail(len(self._cached))
        finally:
            abort.in_call = False
        if status == ABORTED:
            abort.check()
        if status == NO_ROOM:
            raise WindowFullError(f"the context window of {self.size:,} tokens is full")
        raise EngineError(f"llama.cpp could not evaluate {len(ids)} tokens: {log.reason() or status}")

    def _watch(self, pointer: int, watch: bool) -> None:
        """Let llama.cpp look at the abort flag while it computes, or not.

        It looks after every step of the graph, some hundred times a token, and each look is a call into
        Python: a third of the time of a tiny model's token. A call that is over at once needs no watching.
        """
        if watch != self._is_watched:
            self._is_watched = watch
            callback = self._callback if watch else self._no_callback
            lib.llama_set_abort_callback(pointer, callback, None)

    def _cut_tail(self, length: int) -> None:
        if not lib.llama_memory_seq_rm(self._memory, 0, length, -1):
            self._clear()

    def _slides(self) -> bool:
        """Whether the model has a sliding window: what has left it can't be brought back."""
        return bool(lib.llama_model_n_swa(self._model.pointer) > 0)

    def _apply_adapters(self, options: EngineOptions) -> None:
        if not options.lora:
            return
        scales = []
        for path, scale in options.lora:
            read_header(path)
            log.lines.clear()
            adapter = lib.llama_adapter_lora_init(self._model.pointer, os.fsencode(path))
            if not adapter:  # a null pointer, not None
                raise ModelError(
                    f"{path}: llama.cpp can't load the adapter: {log.reason() or 'no reason given'}"
                )
            self._adapters.append(adapter)
            scales.append(scale)
        count = len(scales)
        pointers = (lib.llama_adapter_lora_p_ctypes * count)(*self._adapters)
        lib.llama_set_adapters_lora(self.pointer, pointers, count, (ctypes.c_float * count)(*scales))
