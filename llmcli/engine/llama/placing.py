"""Where a model's layers go: the options about devices as llama.cpp's parameters, and what came of them."""

from __future__ import annotations

import ctypes
import re
from typing import Any

from llmcli.engine.llama.devices import Device, add_server, cpu_buffers, default_devices, devices, pointers_of
from llmcli.engine.llama.library import lib, log
from llmcli.engine.offload import Needs, Offload, layers_that_fit
from llmcli.gguf.header import Header, read_header
from llmcli.settings.engine import EngineOptions

SPLIT_MODES = {
    "none": lib.LLAMA_SPLIT_MODE_NONE,
    "layer": lib.LLAMA_SPLIT_MODE_LAYER,
    "row": lib.LLAMA_SPLIT_MODE_ROW,
}
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
        from llmcli.gguf.memory import EXPERTS

        experts = _Override(rf"\.{EXPERTS}".encode(), cpu_buffers())
        held.append((_Override * 2)(experts, _Override(None, None)))
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
    """About what a model takes on a device, from the headers of its files."""
    from llmcli.gguf.memory import estimate
    from llmcli.gguf.parts import parts_of
    from llmcli.settings.memory import MemoryOptions

    headers = [header if path == header.path else read_header(path) for path in parts_of(header.path)]
    wanted = {name: getattr(options, name) for name in MemoryOptions.__dataclass_fields__}
    memory = estimate(headers, MemoryOptions(**wanted))
    return Needs(memory.layers, memory.output, memory.compute)
