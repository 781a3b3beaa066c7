"""Where a model's layers go: the options about devices as llama.cpp's parameters, and what came of them."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmcli.engine.llama.devices import Device, add_server, cpu_buffers, default_devices, devices, pointers_of
from llmcli.engine.llama.library import lib, log
from llmcli.engine.offload import Needs, Offload, layers_that_fit
from llmcli.gguf.header import Array, Header
from llmcli.settings.engine import AUTO_LIMIT, EngineOptions

SPLIT_MODES = {
    "none": lib.LLAMA_SPLIT_MODE_NONE,
    "layer": lib.LLAMA_SPLIT_MODE_LAYER,
    "row": lib.LLAMA_SPLIT_MODE_ROW,
}
EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The tensors of a mixture of experts, by name, as llama.cpp's own `--cpu-moe` finds them."""
BYTES_PER_VALUE = {"f32": 4.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32}
SMALL_TYPES = 20 / 32
MOST_LAYERS = 4096
PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL)
OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")


class _Override(ctypes.Structure):
    _fields_ = [("pattern", ctypes.c_char_p), ("buffers", ctypes.c_void_p)]


def place(params: Any, header: Header, options: EngineOptions) -> list[Any]:
    """Fill in what llama.cpp is told of devices; what has to stay in memory as long as the model.

    Raises UsageError for a device that is not there, EngineError for a server that is not.
    """
    for address in options.rpc:
        add_server(address)
    held: list[Any] = []
    if options.device:
        held.append(pointers_of(options.device))
        params.devices = ctypes.addressof(held[-1])
    used = chosen_devices(options)
    layers = options.n_gpu_layers
    if layers == "auto":
        free = [device.free for device in used]
        params.n_gpu_layers = layers_that_fit(needs_of(header, options), free) if used else 0
    else:
        params.n_gpu_layers = layers if isinstance(layers, int) else -1
    params.split_mode = SPLIT_MODES[options.split_mode]
    params.main_gpu = options.main_gpu
    if options.tensor_split:
        # llama.cpp reads a share for every device it might have.
        most: int = lib.llama_max_devices()
        held.append((ctypes.c_float * most)(*options.tensor_split[:most]))
        params.tensor_split = held[-1]
    if options.cpu_moe:
        held.append((_Override * 2)(_Override(EXPERTS.encode(), cpu_buffers()), _Override(None, None)))
        params.tensor_buft_overrides = ctypes.addressof(held[-1])
    return held


def chosen_devices(options: EngineOptions) -> list[Device]:
    """The devices that layers may go to, in the order in which they were named."""
    if options.device:
        by_name = {device.name: device for device in devices()}
        return [by_name[name] for name in options.device if name in by_name]
    found = default_devices()
    return found[options.main_gpu :][:1] if options.split_mode == "none" else found


def came_of(options: EngineOptions) -> Offload:
    """What llama.cpp said, while it loaded, of the layers that it put on devices."""
    names = tuple(device.name for device in chosen_devices(options))
    found = [match for _, line in log.lines if (match := OFFLOADED.search(line))]
    if not found or not names:
        return Offload(0, int(found[-1][2]) if found else 0, ())
    layers, of = int(found[-1][1]), int(found[-1][2])
    return Offload(layers, of, names if layers else ())


def needs_of(header: Header, options: EngineOptions) -> Needs:
    """About what a model takes on a device, from its header alone."""
    n_layers = min(_figure(header, "block_count", 1), MOST_LAYERS)
    width = _figure(header, "embedding_length", 4096)
    heads = max(1, _figure(header, "attention.head_count", 32))
    kv_heads = _figure(header, "attention.head_count_kv", heads)
    head = width // heads
    keys = _figure(header, "attention.key_length", head) * _bytes(options.cache_type_k)
    values = _figure(header, "attention.value_length", head) * _bytes(options.cache_type_v)
    trained = _figure(header, "context_length", AUTO_LIMIT)
    window = min(trained, AUTO_LIMIT) if options.ctx_size is None else options.ctx_size or trained
    cache = int(window * kv_heads * (keys + values))
    layers, output = _weights(header, n_layers, options.cpu_moe)
    vocabulary = header.metadata.get("tokenizer.ggml.tokens")
    n_vocab = vocabulary.length if isinstance(vocabulary, Array) else 0
    # The logits of a micro-batch, and some vectors of each of its tokens.
    compute = 4 * min(options.ubatch_size, window) * (n_vocab + 16 * width)
    return Needs(tuple(size + cache for size in layers), output, compute)


def _weights(header: Header, n_layers: int, cpu_moe: bool) -> tuple[Sequence[int], int]:
    """Bytes of the weights of each layer, and of the output."""
    parts = _parts(header.path)
    if len(parts) > 1:
        # Only the first part's header is at hand.
        each = sum(part.stat().st_size for part in parts if part.is_file()) // (n_layers + 1)
        return [each] * n_layers, each
    layers = [0] * n_layers
    output = embedding = 0
    for tensor in header.tensors:
        size = tensor.n_bytes or 0
        block = re.match(r"blk\.(\d+)\.", tensor.name)
        if block and int(block[1]) < n_layers:
            layers[int(block[1])] += 0 if cpu_moe and re.search(EXPERTS, tensor.name) else size
        elif tensor.name.startswith("output"):
            output += size
        elif tensor.name == "token_embd.weight":
            embedding = size
    tied = not any(tensor.name == "output.weight" for tensor in header.tensors)
    return layers, output + (embedding if tied else 0)


def _parts(path: Path) -> list[Path]:
    part = PART.fullmatch(path.name)
    if part is None:
        return [path]
    return [path.with_name(f"{part[1]}-{n:05}-of-{part[3]}.gguf") for n in range(1, int(part[3]) + 1)]


def _figure(header: Header, key: str, default: int) -> int:
    """A figure of the architecture; of one that differs from layer to layer, the largest."""
    name = f"{header.metadata.get('general.architecture')}.{key}"
    value = header.metadata.get(name)
    if isinstance(value, Array):
        return max((number for number in header.array(name) if isinstance(number, int)), default=default)
    return value if isinstance(value, int) and value > 0 else default


def _bytes(cache_type: str) -> float:
    return 2.0 if cache_type in ("f16", "bf16") else BYTES_PER_VALUE.get(cache_type, SMALL_TYPES)
