"""A context: the model's KV cache, what is in it, and the logits after it."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.adapters import apply_adapters
from llmcli.engine.llama.aside import PROMPT, Aside
from llmcli.engine.llama.library import lib, log
from llmcli.engine.llama.memory import can_shift, can_step_back
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.new_context import new_context, rows_at_once
from llmcli.engine.llama.watch import SLOW, Watch
from llmcli.engine.plan import Plan, plan
from llmcli.engine.protocol import Progress
from llmcli.errors import EngineError, UsageError, WindowFullError
from llmcli.settings.engine import EngineOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECODED, NO_ROOM, ABORTED = 0, 1, 2
"""What llama_decode returns; anything below zero is a failure."""


class LlamaContext:
    """The ids in the cache and the logits after the last one. A context manager."""

    def __init__(
        self,
        model: LlamaModel,
        options: EngineOptions | None = None,
        abort: AbortFlag | None = None,
        n_sequences: int = 1,
    ) -> None:
        """Make a context, for `n_sequences` branches at once where the model can keep them apart cheaply.

        Raises UsageError for options that llama.cpp would abort on, ModelError with llama.cpp's reason where
        it refuses them, InterruptedByUser on Ctrl-C.
        """
        self._pointer: int | None = None
        self._adapters: list[Any] = []
        self._model = model
        self.abort = abort or AbortFlag()
        """Who hears of Ctrl-C."""
        self._cached: list[int] = []
        self._moved_at = inf  # where what was moved within the cache begins
        self._has_logits = False
        self.n_evaluated = 0
        """How many tokens were evaluated in all."""
        options = options or EngineOptions()
        with self.abort.calling():
            self._pointer = new_context(model, options, n_sequences)
        model.used_by(self)
        self.memory: Any = lib.llama_get_memory(self._pointer)
        """The C cache."""
        self.size: int = lib.llama_n_ctx(self._pointer)
        self.n_threads: int = lib.llama_n_threads_batch(self._pointer)
        """How many threads evaluate a prompt."""
        self.can_shift = can_shift(model.pointer, self.memory)
        """Whether what stands further back in the cache can be moved, and put aside."""
        n_sequences = lib.llama_n_seq_max(self._pointer)
        self.aside = Aside(self.memory, n_sequences - 1) if self.can_shift else None
        self.n_sequences: int = n_sequences - (1 if self.aside else 0)
        """How many branches there can be, the one that `cached` speaks of among them."""
        self.n_vocab = model.vocabulary.n_tokens
        self._n_batch: int = lib.llama_n_batch(self._pointer)
        self.block = rows_at_once(self._pointer, self.n_vocab)
        """How many tokens `rows` evaluates at once."""
        self._tokens = (lib.llama_token * self._n_batch)()
        self._batch = lib.llama_batch_get_one(self._tokens, 1)
        self._every_row = (ctypes.c_int8 * self.block)(*[1] * self.block)
        self._watch = Watch(self.abort)
        with self.abort.calling():
            apply_adapters(options.lora, model.pointer, self._pointer, self._adapters)
        if self.abort.is_set:
            self.close()
            self.abort.check()

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

        With `may_shift`, what stood further back may be moved instead of being evaluated again: cheap, but
        not the same to the last digit. Raises WindowFullError where `wanted` does not fit (and changes
        nothing), InterruptedByUser on Ctrl-C (the cache then holds a beginning of `wanted`).
        """
        pointer = self.pointer
        self._check_fits(wanted)
        if self._has_logits and self._cached == list(wanted):
            return 0
        steps = self._step_back(wanted, may_shift)
        n_fed = steps.fed(len(wanted))
        # Who watches the progress wants to see it move: as often as costs nothing.
        step = lib.llama_n_ubatch(pointer) if on_progress else self._n_batch
        try:
            for start, end in [*steps.moved, (len(wanted), len(wanted))]:
                for at in range(len(self._cached), start, step):
                    if on_progress:
                        on_progress(steps.fed(at) / n_fed)
                    self._append(pointer, wanted[at : min(at + step, start)])
                if self.aside and start < end:
                    with self.abort.calling():
                        self.aside.give_back(start, end)
                        self._cached += wanted[start:end]
        finally:
            if self.aside and steps.moved:
                self.aside.clear()
        if on_progress:
            on_progress(1.0)
        return n_fed

    def rows(
        self, wanted: Sequence[int], begin: int = 0, *, on_progress: Progress | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The logits after each token of `wanted` from position `begin` on: (position, rows) block by block.

        A block's rows, of the shape (n, n_vocab), are a view on llama.cpp's memory that dies with the next
        block. What the cache holds before `begin` is not evaluated again. Errors as `ready`.
        """
        pointer = self.pointer
        self._check_fits(wanted)
        kept = self._step_back(wanted[: begin + 1], False).kept
        for start in range(kept, begin, self._n_batch):
            self._append(pointer, wanted[start : min(begin, start + self._n_batch)])
        for start in range(begin, len(wanted), self.block):
            if on_progress:
                on_progress((start - kept) / (len(wanted) - kept))
            ids = wanted[start : start + self.block]
            self._append(pointer, ids, every_row=True)
            yield start, self.all_logits(len(ids))
        if on_progress:
            on_progress(1.0)

    def feed(self, token_id: int) -> None:
        """Append one token and compute the next logits.

        Raises WindowFullError when the window is full, InterruptedByUser on Ctrl-C; either way the cache is
        as it was before.
        """
        self.check_id(token_id)
        if len(self._cached) >= self.size:
            raise WindowFullError(f"the context window of {self.size:,} tokens is full")
        self._tokens[0] = token_id
        self._decode(self.pointer, self._batch, 1, (token_id,))

    def logits(self) -> NDArray[np.float32]:
        """The raw scores of the next token: a view on llama.cpp's memory, shape (n_vocab,), float32.

        It dies at the next evaluation. Raises EngineError where nothing was evaluated.
        """
        return _view(lib.llama_get_logits_ith(self.pointer_with_logits(), -1), (self.n_vocab,))

    def all_logits(self, n_rows: int) -> NDArray[np.float32]:
        """The logits that the last evaluation left, shape (n_rows, n_vocab): a view as of `logits`."""
        return _view(lib.llama_get_logits(self.pointer), (n_rows, self.n_vocab))

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

    def check_id(self, token_id: int) -> None:
        """Raise UsageError unless the id is in the vocabulary."""
        if not 0 <= token_id < self.n_vocab:
            raise UsageError(
                f"token id {token_id} is not in the vocabulary", hint=f"ids run from 0 to {self.n_vocab - 1}"
            )

    def _check_fits(self, wanted: Sequence[int]) -> None:
        if not wanted:
            raise EngineError("nothing to evaluate: the prompt has no tokens")
        if len(wanted) > self.size:
            raise WindowFullError(
                f"the prompt has {len(wanted):,} tokens, the context window only {self.size:,}",
                hint="shorten it, or ask for a larger window with -c",
            )
        for token_id in wanted:
            self.check_id(token_id)

    def _step_back(self, wanted: Sequence[int], may_shift: bool) -> Plan:
        """Make the cache hold a beginning of `wanted` that lacks at least its last token; how it goes on.

        What of the rest is there already is put aside, where it belongs.
        """
        steps = plan(self._cached, wanted, may_shift and self.can_shift)
        self._has_logits = False
        with self.abort.calling():
            is_there = can_step_back(self._model.pointer, self.memory, len(self._cached), steps.kept)
            if is_there and all(self._cut(start, end) for start, end in reversed(steps.cuts)):
                if self.aside and steps.moved:
                    self.aside.take(steps.kept, steps.moved)
                    self._moved_at = min(self._moved_at, steps.kept)
                    del self._cached[steps.kept :]
                return steps
            self._clear()
        return Plan((), 0)

    def _append(self, pointer: int, ids: Sequence[int], *, every_row: bool = False) -> None:
        self._tokens[: len(ids)] = ids
        self._batch.logits = self._every_row if every_row else None
        try:
            self._decode(pointer, self._batch, len(ids), ids)
        finally:
            self._batch.logits = None
        self.abort.check()

    def _cut(self, start: int, end: int) -> bool:
        """Take [start, end) out of the cache and move up what follows; False where the model can't."""
        if not lib.llama_memory_seq_rm(self.memory, PROMPT, start, end):
            return False
        if end < len(self._cached):
            lib.llama_memory_seq_add(self.memory, PROMPT, end, -1, start - end)
            self._moved_at = min(self._moved_at, start)
        elif start <= self._moved_at:
            self._moved_at = inf
        del self._cached[start:end]
        return True

    def _clear(self) -> None:
        lib.llama_memory_clear(self.memory, True)
        self._cached.clear()
        self._moved_at = inf

    def hold(self, ids: Sequence[int]) -> None:
        """Take note that the cache was filled with `ids` from outside; without any, empty it."""
        if not ids:
            self._clear()
        self._cached[:] = ids
        self._has_logits = False
        self._moved_at = 0 if ids else inf  # nobody knows

    def forget_moved(self) -> None:
        """Take out of the cache what was moved within it, and what was evaluated behind that."""
        if self._moved_at < len(self._cached):
            self._has_logits = False
            with self.abort.calling():
                self._cut(int(self._moved_at), len(self._cached))

    def evaluate(self, batch: Any, n_tokens: int) -> None:
        """Evaluate a batch of other sequences than the one that `cached` speaks of; errors as `ready`.

        On failure part of it may be in the cache.
        """
        self._decode(self.pointer, batch, n_tokens, ())

    def _decode(self, pointer: int, batch: Any, n_tokens: int, ids: Sequence[int]) -> None:
        """Evaluate a batch that appends `ids` to the cache; on failure our part of it is as it was before."""
        self._model.check_file()
        batch.n_tokens = n_tokens
        self._has_logits = False
        abort = self.abort
        self._watch.keep(pointer, n_tokens)
        started = time.perf_counter()
        # Up to the end of the block a Ctrl-C only sets the flag: the cache and our account of it stay one.
        abort.in_call = True
        try:
            status = lib.llama_decode(pointer, batch)
            if status == DECODED:
                self._watch.is_slow = time.perf_counter() - started > SLOW
                self._cached.extend(ids)
                self._has_logits = bool(ids)
                self.n_evaluated += n_tokens
                return
            # Part of the batch may have been evaluated; we know only of what stood there before.
            self._cut_tail(len(self._cached))
        finally:
            abort.in_call = False
        if status == ABORTED:
            abort.check()
        if status == NO_ROOM:
            raise WindowFullError(f"the context window of {self.size:,} tokens is full")
        raise EngineError(f"llama.cpp could not evaluate {n_tokens} tokens: {log.reason() or status}")

    def _cut_tail(self, length: int) -> None:
        if not lib.llama_memory_seq_rm(self.memory, PROMPT, length, -1):
            self._clear()


def _view(address: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    import numpy as np

    view = np.ctypeslib.as_array(address, shape=shape)
    view.flags.writeable = False
    return view
