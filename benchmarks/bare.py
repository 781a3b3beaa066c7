"""The yardstick: llama_decode and llama_sampler_sample, called through ctypes, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp

from llmcli.settings.sampling import SamplingOptions

lib: Any = llama_cpp


class BareModel:
    """A model and a context that write replies of a given length, without looking at what they write."""

    def __init__(self, path: Path, n_ctx: int, threads: int) -> None:
        self._model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        params = lib.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = n_ctx
        params.n_threads = params.n_threads_batch = threads
        self._context = lib.llama_init_from_model(self._model, params)
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._prompt: list[int] = []

    def reply(self, prompt: Sequence[int], options: SamplingOptions) -> list[int]:
        """Write `options.predict` tokens after `prompt`; one decode and one sample for each."""
        self._ready(prompt)
        chain = _chain(options)
        context, token = self._context, (lib.llama_token * 1)(prompt[-1])
        batch = lib.llama_batch_get_one(token, 1)
        ids = []
        for _ in range(options.predict):
            lib.llama_decode(context, batch)
            token[0] = lib.llama_sampler_sample(chain, context, -1)
            ids.append(token[0])
        lib.llama_sampler_free(chain)
        return ids

    def tokens(self, prompt: Sequence[int], options: SamplingOptions) -> Iterator[None]:
        """The same, handing over after each token."""
        self._ready(prompt)
        chain = _chain(options)
        context, token = self._context, (lib.llama_token * 1)(prompt[-1])
        batch = lib.llama_batch_get_one(token, 1)
        for _ in range(options.predict):
            lib.llama_decode(context, batch)
            token[0] = lib.llama_sampler_sample(chain, context, -1)
            yield
        lib.llama_sampler_free(chain)

    def endless_seed(self, prompt: Sequence[int], options: SamplingOptions) -> int:
        """A seed with which the model does not end its reply too early.

        Chosen instead of forbidding the ending by a bias, which costs the `Llama` class a detour through
        Python that the others do not take.
        """
        for seed in range(1, 100):
            ids = self.reply(prompt, replace(options, seed=seed))
            if not any(lib.llama_vocab_is_eog(self._vocab, token_id) for token_id in ids):
                return seed
        raise SystemExit(f"the model ends every reply before token {options.predict}: ask for fewer")

    def _ready(self, prompt: Sequence[int]) -> None:
        """Make the cache hold the prompt but for its last token, which `reply` begins with.

        The prompt is evaluated whole first, as by the others: in another split the last digits are others.
        """
        memory = lib.llama_get_memory(self._context)
        if self._prompt != list(prompt):
            lib.llama_memory_clear(memory, True)
            tokens = (lib.llama_token * len(prompt))(*prompt)
            lib.llama_decode(self._context, lib.llama_batch_get_one(tokens, len(prompt)))
            self._prompt = list(prompt)
        lib.llama_memory_seq_rm(memory, 0, len(prompt) - 1, -1)


def _chain(options: SamplingOptions) -> Any:
    """The samplers that llmcli's default chain has, in its order."""
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    for sampler in (
        lib.llama_sampler_init_top_k(options.top_k),
        lib.llama_sampler_init_top_p(options.top_p, 1),
        lib.llama_sampler_init_min_p(options.min_p, 1),
        lib.llama_sampler_init_temp(options.temp),
        lib.llama_sampler_init_dist(options.seed),
    ):
        lib.llama_sampler_chain_add(chain, sampler)
    return chain
