"""Making a context: from the options to llama.cpp's parameters, and a window that fits into memory."""

from __future__ import annotations

from llmcli.engine.llama.library import lib, log
from llmcli.engine.llama.memory import sliding_window
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.machine import memory
from llmcli.engine.processors import usable_processors
from llmcli.errors import ModelError, UsageError
from llmcli.settings.engine import AUTO_LIMIT, EngineOptions

BEYOND_DOUBT = 4
"""How many times the memory an estimate has to be for a refusal: some models need less than estimated."""
LOGITS_ROOM = 128 << 20
"""Bytes of logits that one evaluation may leave: 220 rows of a vocabulary of 152,000."""
FLASH_ATTN = {
    "auto": lib.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": lib.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": lib.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
ROPE_SCALING = {
    "none": lib.LLAMA_ROPE_SCALING_TYPE_NONE,
    "linear": lib.LLAMA_ROPE_SCALING_TYPE_LINEAR,
    "yarn": lib.LLAMA_ROPE_SCALING_TYPE_YARN,
}
CACHE_TYPES = {
    "f32": lib.GGML_TYPE_F32,
    "f16": lib.GGML_TYPE_F16,
    "bf16": 30,  # the bindings lack its name; ggml.h says 30
    "q8_0": lib.GGML_TYPE_Q8_0,
    "q4_0": lib.GGML_TYPE_Q4_0,
    "q4_1": lib.GGML_TYPE_Q4_1,
    "iq4_nl": lib.GGML_TYPE_IQ4_NL,
    "q5_0": lib.GGML_TYPE_Q5_0,
    "q5_1": lib.GGML_TYPE_Q5_1,
}
UNQUANTIZED = ("f32", "f16", "bf16")


def new_context(model: LlamaModel, options: EngineOptions, n_sequences: int = 1) -> int:
    """A C context for a model, whose cache holds up to `n_sequences` branches of a text at once.

    There is one more sequence, for what is put aside: it costs nothing where all share the cells of the
    cache. A model with a recurrent state would need that state once for each: it gets one sequence. One with
    a sliding window would need more cells, and can put nothing aside: it gets as many as were asked for.

    Raises UsageError for options that llama.cpp would abort on, ModelError with its reason where it refuses
    them.
    """
    if options.cache_type_v not in UNQUANTIZED and options.flash_attn == "off":
        raise UsageError(
            f"--cache-type-v {options.cache_type_v} needs flash attention", hint="leave --flash-attn at auto"
        )
    size = _size(model, options)
    params = lib.llama_context_default_params()
    recurs = lib.llama_model_is_recurrent(model.pointer) or lib.llama_model_is_hybrid(model.pointer)
    params.n_seq_max = 1 if recurs else n_sequences + (not sliding_window(model.pointer))
    # llama.cpp aborts where a batch has no room for a token of each sequence; it rounds a window up to 256.
    params.n_ctx = max(size, params.n_seq_max)
    params.n_batch = max(min(options.batch_size, size), params.n_seq_max)
    params.n_ubatch = min(options.ubatch_size, options.batch_size, size)
    params.kv_unified = params.n_seq_max > 1
    params.n_threads = options.threads or usable_processors()
    params.n_threads_batch = options.threads_batch or params.n_threads
    params.flash_attn_type = FLASH_ATTN[options.flash_attn]
    params.type_k = CACHE_TYPES[options.cache_type_k]
    params.type_v = CACHE_TYPES[options.cache_type_v]
    params.swa_full = options.swa_full
    if options.rope_scaling:
        params.rope_scaling_type = ROPE_SCALING[options.rope_scaling]
    params.rope_freq_base = options.rope_freq_base
    params.rope_freq_scale = options.rope_freq_scale
    params.yarn_orig_ctx = options.yarn_orig_ctx
    params.yarn_ext_factor = options.yarn_ext_factor
    params.yarn_attn_factor = options.yarn_attn_factor
    params.yarn_beta_slow = options.yarn_beta_slow
    params.yarn_beta_fast = options.yarn_beta_fast
    params.no_perf = True
    log.lines.clear()
    pointer = lib.llama_init_from_model(model.pointer, params)
    if pointer is None:
        raise ModelError(
            f"llama.cpp can't make a context of {size:,} tokens: {log.reason() or 'no reason given'}",
            hint="a smaller -c needs less memory; --debug shows all that llama.cpp says",
        )
    return int(pointer)


def rows_at_once(context: int, n_vocab: int) -> int:
    """How many tokens' logits one evaluation may leave."""
    n_rows: int = min(lib.llama_n_ubatch(context), LOGITS_ROOM // (4 * n_vocab))
    return max(1, n_rows)


def _size(model: LlamaModel, options: EngineOptions) -> int:
    """The window's size: as asked; 0 the model's own; auto the model's own within memory and a limit."""
    own = max(1, model.context_length)
    if options.ctx_size is not None:
        asked = options.ctx_size or own
        _, total = memory()
        if total and asked * model.kv_bytes_per_token() > BEYOND_DOUBT * total:
            # llama.cpp would take the memory page by page, until the system ends the process.
            raise ModelError(
                f"a window of {asked:,} tokens does not fit into memory", hint="ask for a smaller one with -c"
            )
        return asked
    free, _ = memory()
    fits = AUTO_LIMIT
    while free and fits > 512 and fits * model.kv_bytes_per_token() > free // 2:
        fits //= 2
    return min(own, fits)
