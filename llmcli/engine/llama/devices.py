"""What the installed build of llama.cpp can compute on: its devices, by ggml's own functions.

The Python bindings list llama.cpp's functions but not ggml's, so those are looked up here by name.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

from llmcli.engine.llama.library import lib
from llmcli.errors import EngineError, UsageError

KINDS = ("CPU", "GPU", "integrated GPU", "accelerator", "meta")
"""What ggml calls a device's type, by its number."""
CPU = 0
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True)
class Device:
    """A device that this build can use; memory in bytes."""

    name: str
    description: str
    kind: str
    backend: str
    free: int
    total: int

    @property
    def takes_layers(self) -> bool:
        """Whether layers of a model can be put on it."""
        return "GPU" in self.kind


def devices() -> list[Device]:
    """Every device of this build, the CPU too. Empty where the library does not tell."""
    count = _function("ggml_backend_dev_count", c_size_t)
    return [_device(pointer) for pointer in _pointers()] if count else []


def default_devices() -> list[Device]:
    """Those that layers go to where none is named: the GPUs, and without any the integrated ones."""
    found = [device for device in devices() if device.takes_layers]
    return [device for device in found if device.kind == "GPU"] or found


def system_info() -> list[tuple[str, dict[str, str]]]:
    """For each backend the features that it was built with or found: `("CPU", {"AVX2": "1", ...})`."""
    found = []
    # "CPU : SSE3 = 1 | AVX = 1 | CUDA : ARCHS = 800 | "
    for part in lib.llama_print_system_info().decode("utf-8", "replace").split("|"):
        name, colon, rest = part.partition(" : ")
        if colon:
            found.append((name.strip(), dict[str, str]()))
        feature, equals, value = (rest if colon else part).partition("=")
        if equals and found:
            found[-1][1][feature.strip()] = value.strip()
    return found


def pointers_of(names: Sequence[str]) -> ctypes.Array[c_void_p]:
    """Devices by name as llama.cpp takes them, ending in NULL; `none` is no device at all.

    Raises UsageError naming the devices that there are.
    """
    if list(names) == ["none"]:
        return (c_void_p * 1)(None)
    found = []
    for name in names:
        by_name = _function("ggml_backend_dev_by_name", c_void_p, c_char_p)
        pointer = by_name(name.encode()) if by_name else None
        if not pointer or not _device(pointer).takes_layers:
            there = ", ".join(device.name for device in devices() if device.takes_layers)
            raise UsageError(
                f"--device {name}: there is no such device",
                hint=f"there are {there}, and none" if there else "this build of llama.cpp has no GPU device",
            )
        found.append(pointer)
    return (c_void_p * (len(found) + 1))(*found, None)


def cpu_buffers() -> int:
    """Where tensors lie that stay in main memory. Raises EngineError where the library does not tell."""
    buffers = _function("ggml_backend_cpu_buffer_type", c_void_p)
    if buffers is None:
        raise EngineError("this build of llama.cpp can't keep experts on the CPU")
    return int(buffers())


def add_server(address: str) -> None:
    """Make the devices of an RPC server this process's own.

    Raises UsageError where the build can't, EngineError where there is no server: llama.cpp itself would end
    the process.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal():
        raise UsageError(f"--rpc {address}: must be HOST:PORT")
    by_name = _function("ggml_backend_reg_by_name", c_void_p, c_char_p)
    backend = by_name(b"RPC") if by_name else None
    lookup = _function("ggml_backend_reg_get_proc_address", c_void_p, c_void_p, c_char_p)
    add = lookup(backend, b"ggml_backend_rpc_add_server") if backend and lookup else None
    register = _function("ggml_backend_register", None, c_void_p)
    if not add or not register:
        raise UsageError(
            "--rpc: the installed build of llama-cpp-python has no RPC backend",
            hint='build it with CMAKE_ARGS="-DGGML_RPC=ON"',
        )
    import socket

    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EngineError(
            f"--rpc {address}: can't connect: {reason}", hint="is the server running?"
        ) from None
    server = ctypes.CFUNCTYPE(c_void_p, c_char_p)(add)(address.encode())
    if not server:
        raise EngineError(f"--rpc {address}: the server has no devices")
    register(server)


def _pointers() -> list[int]:
    count, get = (
        _function("ggml_backend_dev_count", c_size_t),
        _function("ggml_backend_dev_get", c_void_p, c_size_t),
    )
    return [get(number) for number in range(count())] if count and get else []


def _device(pointer: int) -> Device:
    def text(function: str) -> str:
        call = _function(function, c_char_p, c_void_p)
        return (call(pointer) or b"").decode("utf-8", "replace") if call else ""

    kind = _function("ggml_backend_dev_type", c_int, c_void_p)
    number = kind(pointer) if kind else CPU
    registry = _function("ggml_backend_dev_backend_reg", c_void_p, c_void_p)
    backend_name = _function("ggml_backend_reg_name", c_char_p, c_void_p)
    backend = backend_name(registry(pointer)) if registry and backend_name else b""
    free, total = c_size_t(), c_size_t()
    memory = _function(
        "ggml_backend_dev_memory", None, c_void_p, ctypes.POINTER(c_size_t), ctypes.POINTER(c_size_t)
    )
    if memory:
        memory(pointer, ctypes.byref(free), ctypes.byref(total))
    return Device(
        text("ggml_backend_dev_name"),
        text("ggml_backend_dev_description").strip(),
        KINDS[number] if 0 <= number < len(KINDS) else "device",
        backend.decode("utf-8", "replace"),
        free.value,
        total.value,
    )


@cache
def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of ggml; None where no library of this build has it."""
    for library in _libraries():
        with suppress(AttributeError):
            function = library[name]
            function.restype, function.argtypes = result, list(arguments)
            return function
    return None


@cache
def _libraries() -> list[Any]:
    """llama.cpp's library, through which most systems find ggml's functions too, and ggml's own."""
    found = [lib._lib]
    for name in ("ggml", "ggml-base"):
        with suppress(OSError, RuntimeError):
            found.append(lib.load_shared_library(name, lib._base_path))
    return found
