"""A context: ids are evaluated into the KV cache, and there are the logits after them."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.adapters import apply_adapters
from llmcli.engine.llama.cache import LlamaCache
from llmcli.engine.llama.library import lib, log
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
        self._has_logits = False
        self.n_evaluated = 0
        """How many tokens were evaluated in all."""
        options = options or EngineOptions()
        with self.abort.calling():
            self._pointer = new_context(model, options, n_sequences)
        model.used_by(self)
        self._cache = LlamaCache(model.pointer, self._pointer)
        self.size: int = lib.llama_n_ctx(self._pointer)
        self.n_threads: int = lib.llama_n_threads_batch(self._pointer)
        """How many threads evaluate a prompt."""
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
    def cache(self) -> LlamaCache:
        """The KV cache and the account of it. Raises EngineError after `close`."""
        if self._pointer is None:
            raise EngineError("the context is closed")
        return self._cache

    @property
    def cached(self) -> Sequence[int]:
        """The ids in the cache; not to be changed."""
        return self._cache.ids

    def ready(
        self, wanted: Sequence[int], *, may_shift: bool = False, on_progress: Progress | None = None
    ) -> int:
        """Make the cache hold exactly `wanted`; how many tokens were evaluated for it.

        With `may_shift`, what stood further back may be moved instead of being evaluated again: cheap, but
        not the same to the last digit. Raises WindowFullError where `wanted` does not fit (and changes
        nothing), InterruptedByUser on Ctrl-C (the cache then holds a beginning of `wanted`).
        """
        pointer, cache = self.pointer, self.cache
        self._check_fits(wanted)
        if self._has_logits and cache.ids == list(wanted):
            return 0
        steps = self._step_back(wanted, may_shift)
        n_fed = steps.fed(len(wanted))
        # Who watches the progress wants to see it move: as often as costs nothing.
        step = lib.llama_n_ubatch(pointer) if on_progress else self._n_batch
        try:
            for start, end in [*steps.moved, (len(wanted), len(wanted))]:
                for at in range(len(cache.ids), start, step):
                    if on_progress:
                        on_progress(steps.fed(at) / n_fed)
                    self._append(pointer, wanted[at : min(at + step, start)])
                if start < end:
                    with self.abort.calling():
                        cache.give_back(wanted[start:end])
        finally:
            if cache.aside and steps.moved:
                cache.aside.clear()
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
        if len(self._cache.ids) >= self.size:
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
        # Taken first: a Ctrl-C behind the call would leave it to be freed once more.
        pointer, self._pointer = self._pointer, None
        self._has_logits = False
        # The garbage collector may have taken the model before.
        if pointer is not None and self._model.is_open:
            lib.llama_free(pointer)
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
        if hasattr(self, "_adapters"):
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
        """Make the cache hold a beginning of `wanted` that lacks at least its last token; how it goes on."""
        steps = plan(self._cache.ids, wanted, may_shift and self._cache.can_shift)
        self._has_logits = False
        with self.abort.calling():
            return self._cache.step_back(steps)

    def _append(self, pointer: int, ids: Sequence[int], *, every_row: bool = False) -> None:
        self._tokens[: len(ids)] = ids
        self._batch.logits = self._every_row if every_row else None
        try:
            self._decode(pointer, self._batch, len(ids), ids)
        finally:
            self._batch.logits = None
        self.abort.check()

    def hold(self, ids: Sequence[int]) -> None:
        """Take note that the cache was filled with `ids` from outside; without any, empty it."""
        self.cache.hold(ids)
        self._has_logits = False

    def forget_moved(self) -> None:
        """Take out of the cache what was moved within it, and what was evaluated behind that."""
        if self.cache.holds_moved:
            self._has_logits = False
            with self.abort.calling():
                self._cache.forget_moved()

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
                self._cache.ids.extend(ids)
                self._has_logits = bool(ids)
                self.n_evaluated += n_tokens
                return
            # Part of the batch may have been evaluated; we know only of what stood there before.
            self._cache.cut_tail()
        finally:
            abort.in_call = False
        if status == ABORTED:
            abort.check()
        if status == NO_ROOM:
            raise WindowFullError(f"the context window of {self.size:,} tokens is full")
        raise EngineError(f"llama.cpp could not evaluate {n_tokens} tokens: {log.reason() or status}")


def _view(address: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    import numpy as np

    view = np.ctypeslib.as_array(address, shape=shape)
    view.flags.writeable = False
    return view
