"""How much memory a model will take, from its header alone: weights, KV cache, state and compute buffers.

What a layer keeps of a token shows in the shapes of its tensors, whatever the architecture: `attn_k` and
`attn_v` make the cache, `ssm_*` and `time_mix_*` a state whose size does not depend on the window. Only which
layers look back through a sliding window has to be known (llama.cpp's `load_swa_pattern`). The sums follow
`llama-kv-cache.cpp`, `llama-memory-recurrent.cpp` and what llama.cpp logs of its compute buffers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmcli.gguf.header import Array, Header, MetadataValue, TensorInfo
from llmcli.gguf.types import TENSOR_TYPES
from llmcli.settings.engine import AUTO_LIMIT
from llmcli.settings.memory import MemoryOptions

PAD = 256
"""Windows are of so many tokens, or a multiple."""

PROCESS, PER_TOKEN, PER_MERGE = 42 << 20, 344, 60
"""Bytes of a chat in a pipe around its model, and for each token and merge of the vocabulary."""

SLIDING = {
    **dict.fromkeys(("gemma2", "gpt-oss"), (2, False)),
    **dict.fromkeys(("gemma3", "gemma-embedding"), (6, False)),
    **dict.fromkeys(("cohere2", "llama4", "exaone4", "olmo2", "afmoe", "mellum", "exaone-moe"), (4, False)),
    **dict.fromkeys(("cohere2moe", "smallthinker", "laguna"), (4, True)),
    "gemma3n": (5, False),
    "plamo3": (8, False),
}
"""Of how many layers one sees the whole window, and whether it is the first of them, not the last."""

_BYTES = {kind.name.lower(): kind.n_bytes / kind.block for kind in TENSOR_TYPES.values()}
EXPERTS = r"ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The tensors of a mixture of experts, by name, as llama.cpp's own `--cpu-moe` finds them."""

_EXPERTS = re.compile(EXPERTS)
_LAYER = re.compile(r"blk\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Layer:
    """What one layer keeps."""

    weights: int
    """Bytes."""
    experts: int
    """Bytes of them that belong to a mixture of experts."""
    key_width: int
    """Numbers a token in the cache; 0 where the layer does not look back."""
    value_width: int
    slides: bool
    """Whether it sees no more than the sliding window."""
    state: int
    """Bytes of a recurrent layer's state."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a model takes with given options."""

    context_size: int
    layers: tuple[int, ...]
    """What of each layer a device would hold: its weights, what it caches, its state."""
    output: int
    """The output's weights."""
    weights: int
    kv_cache: int
    state: int
    compute: int
    on_gpu: int
    """The share of all of it that -ngl puts on the GPU."""
    resident: int
    """About what the whole process takes while it chats on the CPU with its window full: most of the compute
    buffers are set aside for the logits of a whole batch, and never touched for those of its last token."""

    @property
    def total(self) -> int:
        """All of it, as llama.cpp sets it aside."""
        return self.weights + self.kv_cache + self.state + self.compute


def estimate(headers: Sequence[Header], options: MemoryOptions) -> Memory:
    """The memory of a model whose files have these headers.

    A window of `auto` is the model's own, 16384 at most; -ngl `auto` counts nothing to the GPU, because that
    is for the device to say.
    """
    metadata = headers[0].metadata
    tensors = [tensor for header in headers for tensor in header.tensors]
    own = _figure(metadata, "context_length") or PAD
    asked = min(own, AUTO_LIMIT) if options.ctx_size is None else options.ctx_size or own
    context = _padded(asked)
    n_tokens = min(options.ubatch_size, options.batch_size, context)
    window = context
    if not options.swa_full:
        window = min(context, _padded(_figure(metadata, "attention.sliding_window") + n_tokens))
    layers = _layers(metadata, tensors)
    caches = [
        (window if layer.slides else context)
        * int(
            layer.key_width * _BYTES[options.cache_type_k] + layer.value_width * _BYTES[options.cache_type_v]
        )
        for layer in layers
    ]
    weights = sum(tensor.n_bytes or 0 for tensor in tensors)
    kinds = {layer.slides for layer in layers if layer.key_width}
    windows = [window if slides else context for slides in kinds]
    compute, touched = _compute(
        metadata, tensors, sorted(windows), n_tokens, flash=options.flash_attn != "off"
    )
    state = sum(layer.state for layer in layers)
    each = [
        layer.weights - (layer.experts if options.cpu_moe else 0) + layer.state + cache
        for layer, cache in zip(layers, caches, strict=True)
    ]
    output = _output_weights(tensors)
    wanted = {"auto": 0, "all": len(layers) + 1}.get(str(options.n_gpu_layers), options.n_gpu_layers)
    n_offloaded = min(int(wanted), len(layers) + 1)
    # llama.cpp counts from the end, and the output is the last: the embedding stays.
    on_gpu = sum(each[len(layers) + 1 - n_offloaded :]) + (output + compute if n_offloaded else 0)
    return Memory(
        context_size=context,
        layers=tuple(each),
        output=output,
        weights=weights,
        kv_cache=sum(caches),
        state=state,
        compute=compute,
        on_gpu=on_gpu,
        resident=weights + sum(caches) + state + touched + _surroundings(metadata),
    )


def _layers(metadata: Mapping[str, MetadataValue], tensors: Sequence[TensorInfo]) -> list[Layer]:
    by_layer: dict[int, dict[str, TensorInfo]] = {}
    for tensor in tensors:
        if match := _LAYER.fullmatch(tensor.name):
            by_layer.setdefault(int(match[1]), {})[match[2]] = tensor
    return [
        Layer(
            sum(tensor.n_bytes or 0 for tensor in parts.values()),
            sum(tensor.n_bytes or 0 for name, tensor in parts.items() if _EXPERTS.match(name)),
            *_cache_widths(metadata, parts),
            _slides(metadata, number),
            _state(metadata, parts),
        )
        for number, parts in sorted(by_layer.items())
    ]


def _cache_widths(metadata: Mapping[str, MetadataValue], parts: Mapping[str, TensorInfo]) -> tuple[int, int]:
    """How many numbers of a token's keys and values a layer keeps."""
    if compressed := parts.get("attn_kv_a_mqa.weight"):
        return _rows(compressed), 0  # multi-head latent attention keeps one vector for both
    key, value = parts.get("attn_k.weight"), parts.get("attn_v.weight")
    if key is not None:
        # Where there is no matrix for the values, the keys are them, too.
        return _rows(key), _rows(value or key)
    if "attn_qkv.weight" not in parts or _is_recurrent(parts):
        return 0, 0
    heads = _figure(metadata, "attention.head_count") or 1
    kv_heads = _figure(metadata, "attention.head_count_kv") or heads
    width = _figure(metadata, "embedding_length") // heads
    return (
        kv_heads * (_figure(metadata, "attention.key_length") or width),
        kv_heads * (_figure(metadata, "attention.value_length") or width),
    )


def _slides(metadata: Mapping[str, MetadataValue], number: int) -> bool:
    architecture = metadata.get("general.architecture")
    if not _figure(metadata, "attention.sliding_window") or architecture not in SLIDING:
        return False
    period, dense_first = SLIDING[str(architecture)]
    period = _figure(metadata, "attention.sliding_window_pattern") or period
    return number % period != (0 if dense_first else period - 1)


def _is_recurrent(parts: Mapping[str, TensorInfo]) -> bool:
    return any(name.startswith(("ssm_", "time_mix_", "shortconv.")) for name in parts)


def _state(metadata: Mapping[str, MetadataValue], parts: Mapping[str, TensorInfo]) -> int:
    """Bytes of what a recurrent layer carries from token to token, as 32-bit numbers."""
    width = _figure(metadata, "embedding_length")
    if any(name.startswith("time_mix_") for name in parts):
        shifts = _figure(metadata, "token_shift_count") or 2
        return 4 * width * (shifts + _figure(metadata, "wkv.head_size"))
    if any(name.startswith("shortconv.") for name in parts):
        return 4 * width * max(0, _figure(metadata, "shortconv.l_cache") - 1)
    if not any(name.startswith("ssm_") for name in parts):
        return 0
    inner, size = _figure(metadata, "ssm.inner_size"), _figure(metadata, "ssm.state_size")
    before = max(0, _figure(metadata, "ssm.conv_kernel") - 1)
    return 4 * (inner * size + before * (inner + 2 * _figure(metadata, "ssm.group_count") * size))


def _compute(
    metadata: Mapping[str, MetadataValue],
    tensors: Sequence[TensorInfo],
    windows: Sequence[int],
    n_tokens: int,
    *,
    flash: bool,
) -> tuple[int, int]:
    """Bytes of the buffers for `n_tokens` at once, and how many of them a chat touches.

    They are as large as a layer needs them or the output, whichever is more.

    The output needs the logits of every token; a layer its attention mask and what the feed-forward holds.
    Without flash attention every head's scores over the whole window come on top, and outside of the buffers,
    where the CPU multiplies them with the values, a copy of them as 16-bit numbers.
    """
    width = _figure(metadata, "embedding_length")
    experts = _figure(metadata, "expert_used_count") or 1
    vocabulary = inner = widest = 0
    for tensor in tensors:
        name = tensor.name
        if name in ("output.weight", "token_embd.weight"):
            vocabulary = max(vocabulary, _rows(tensor))
        elif "ffn_up" in name or "ffn_gate" in name:
            inner = max(inner, _rows(tensor) * (experts if "_exps" in name else 1))
        elif "ssm_in" in name:
            widest = max(widest, _rows(tensor))
    masks = (2 if flash else 4) * sum(windows)
    layer = masks + 4 * max(3 * width + 3 * inner, 4 * width + 2 * widest)
    scores = windows[-1] * _figure(metadata, "attention.head_count") if windows and not flash else 0
    if scores:
        layer = max(layer, masks + 4 * (5 * width + scores))
    touched = n_tokens * (layer + 2 * scores) + 4 * vocabulary
    return n_tokens * max(layer, 4 * (vocabulary + 2 * width)), touched


def _surroundings(metadata: Mapping[str, MetadataValue]) -> int:
    """Bytes of the process around a model, as measured: Python, its libraries, llama.cpp's vocabulary."""
    tokens, merges = (metadata.get(f"tokenizer.ggml.{name}") for name in ("tokens", "merges"))
    n_tokens = tokens.length if isinstance(tokens, Array) else 0
    n_merges = merges.length if isinstance(merges, Array) else 0
    return PROCESS + PER_TOKEN * n_tokens + PER_MERGE * n_merges


def _output_weights(tensors: Sequence[TensorInfo]) -> int:
    """Bytes of the output's weights, which are the embedding's where a model has none of its own."""
    sizes = {tensor.name: tensor.n_bytes or 0 for tensor in tensors}
    return sizes.get("output.weight", sizes.get("token_embd.weight", 0)) + sizes.get("output_norm.weight", 0)


def _rows(tensor: TensorInfo) -> int:
    """How many numbers a matrix makes of a token."""
    return tensor.shape[1] if len(tensor.shape) > 1 else 0


def _figure(metadata: Mapping[str, MetadataValue], key: str) -> int:
    """A figure of the architecture; 0 where it has none, or one for each layer."""
    value = metadata.get(f"{metadata.get('general.architecture')}.{key}")
    return value if isinstance(value, int) and value > 0 else 0


def _padded(size: int) -> int:
    return -(-size // PAD) * PAD
