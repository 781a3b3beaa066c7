"""The installed build of llama.cpp: what it is, what it can do, and on which devices."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from llmcli.engine.llama.devices import Device, devices, system_info
from llmcli.engine.llama.library import lib


@dataclass(frozen=True)
class Build:
    """llama.cpp as it is installed.

    `features` are, for each backend, those that are on, or a value (`"AVX2"`, `"ARCHS=800"`).
    """

    version: str
    library: str
    features: dict[str, list[str]]
    devices: list[Device]
    offloads: bool
    rpc: bool


def installed_build() -> Build:
    """The build that this process has loaded."""
    features = {
        backend: [
            name if value == "1" else f"{name}={value}" for name, value in found.items() if value != "0"
        ]
        for backend, found in system_info()
    }
    return Build(
        version("llama-cpp-python"),
        str(lib._lib._name),
        features,
        devices(),
        bool(lib.llama_supports_gpu_offload()),
        bool(lib.llama_supports_rpc()),
    )


def build_data() -> dict[str, Any]:
    """The same, ready for JSON."""
    return asdict(installed_build())
