"""What the machine has, asked of the operating system and not of llama.cpp: memory, processors, GPUs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmcli.settings.there import exists

WHEELS = "https://abetlen.github.io/llama-cpp-python/whl"
"""Where llama-cpp-python keeps wheels of builds for GPUs, a folder for each kind."""

BUILDS = {
    "NVIDIA": ("CUDA", "cu125", "-DGGML_CUDA=on"),
    "AMD": ("ROCm", "rocm72", "-DGGML_HIP=on"),
    "Intel": ("Vulkan", "vulkan", "-DGGML_VULKAN=on"),
    "Apple": ("Metal", "metal", "-DGGML_METAL=on"),
}
"""For each maker of GPUs, the fastest first: the kind of build, its folder of wheels, and how to build it."""

FEATURES = {
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "amx_int8": "AMX_INT8",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
    "sve": "SVE",
}
"""Flags of /proc/cpuinfo, and what llama.cpp calls them."""

MAKERS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
"""Makers by their number on the PCI bus."""


@dataclass(frozen=True)
class Gpu:
    """A graphics processor of the machine; memory in bytes, None where the system does not say."""

    maker: str
    name: str
    memory: int | None = None


def gpus(sysfs: Path = Path("/sys"), *, ask_driver: bool = True) -> list[Gpu]:
    """The graphics processors that the system knows of; with `ask_driver`, NVIDIA's tool is asked, too."""
    found = _nvidia() if ask_driver else []
    for card in sorted(sysfs.glob("class/drm/card*/device")):
        maker = MAKERS.get(_text(card / "vendor"), "")
        if maker and not (maker == "NVIDIA" and any(gpu.maker == maker for gpu in found)):
            memory = _text(card / "mem_info_vram_total")
            found.append(Gpu(maker, f"{maker} GPU", int(memory) if memory.isdecimal() else None))
    if not any(gpu.maker == "NVIDIA" for gpu in found) and exists(Path("/dev/nvidiactl")):
        found.append(Gpu("NVIDIA", "NVIDIA GPU"))
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append(Gpu("Apple", "Apple GPU"))
    return found


def memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """Bytes of memory that this process can have: without swapping, and at most.

    No more than a cgroup allows; 0 where the system is silent.
    """
    rows = {}
    for line in _text(meminfo).splitlines():
        name, _, value = line.partition(":")
        if value.strip().removesuffix(" kB").isdecimal():
            rows[name] = int(value.split()[0]) * 1024
    available, total = rows.get("MemAvailable", 0), rows.get("MemTotal", 0) or _installed()
    allowed = cgroup_memory(cgroup)
    return (min(available, allowed), min(total, allowed)) if allowed else (available, total)


def cgroup_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The bytes of memory that a cgroup allows, of version 2 or 1; 0 without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        if (limit := _text(cgroup / name)).isdecimal():  # else no such file, or "max"
            return int(limit)
    return 0


def _installed() -> int:
    """All memory where the system has no /proc/meminfo, as macOS; 0 where it does not tell either."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def way_to_a_gpu_build(found: Sequence[Gpu], version: str) -> str:
    """How to get a build of llama-cpp-python for this machine's GPU; for NVIDIA's where none is known."""
    makers = {gpu.maker for gpu in found}
    # Beside an integrated GPU, the other one is meant.
    kind, folder, flag = next((build for maker, build in BUILDS.items() if maker in makers), BUILDS["NVIDIA"])
    install = "pip install --force-reinstall --no-deps"
    return (
        f"a build for {kind}: {install} llama-cpp-python=={version} --extra-index-url {WHEELS}/{folder}; "
        f'from source: CMAKE_ARGS="{flag}" {install} --no-binary llama-cpp-python llama-cpp-python=={version}'
    )


def unused_features(used: Sequence[str], cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What the processor could do for llama.cpp, and the build makes no use of; by llama.cpp's names."""
    lines = _text(cpuinfo).splitlines()
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return [name for flag, name in FEATURES.items() if flag in flags.split() and name not in used]


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, or its kind where the system does not say."""
    lines = _text(cpuinfo).splitlines()
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def _nvidia() -> list[Gpu]:
    """What nvidia-smi says; nothing where there is none, or it does not answer."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, timeout=5, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in said.stdout.decode("utf-8", "replace").splitlines():
        name, _, size = line.rpartition(",")
        if name.strip():
            found.append(Gpu("NVIDIA", name.strip(), int(size) << 20 if size.strip().isdecimal() else None))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
