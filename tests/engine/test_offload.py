"""How many layers fit on the devices, and what a machine says that it has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.engine.llama.placing import needs_of
from llmcli.engine.machine import Gpu, gpus, memory, processor, unused_features, way_to_a_gpu_build
from llmcli.engine.offload import Needs, layers_that_fit
from llmcli.gguf.header import read_header
from llmcli.settings.engine import EngineOptions

TEN = Needs((10,) * 4, output=5, compute=2)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ([], 0),
        ([7], 0),
        ([8], 1),
        ([17], 1),
        ([18], 2),
        ([47], 4),
        ([48], 5),
        ([10**9], 5),
        ([33, 33], 5),  # 30 each, and a layer's room between them
        ([30, 30], 4),
        ([3, 48], 4),
    ],
)
def test_layers_that_fit(free: list[int], expected: int) -> None:
    """The output first, then from the last layer on; a margin and the room to compute stay on each device."""
    assert layers_that_fit(TEN, free, margin=1) == expected


@given(
    st.lists(st.integers(0, 50), max_size=8), st.integers(0, 50), st.lists(st.integers(0, 300), max_size=3)
)
def test_what_fits_is_never_more_than_the_room(layers: list[int], output: int, free: list[int]) -> None:
    """What is put on the devices is no larger than what they have, and one more would be."""
    count = layers_that_fit(Needs(tuple(layers), output, 0), free, margin=0)
    sizes = [output, *reversed(layers)]
    assert 0 <= count <= len(sizes)
    assert sum(sizes[:count]) <= sum(free)
    if count < len(sizes):
        slack = max(layers, default=0) * max(0, len(free) - 1)
        assert sum(sizes[: count + 1]) > sum(free) - slack


def test_what_a_model_needs(tiny_model: Path) -> None:
    """Its layers are its tensors; a larger window and wider cache types need more."""
    header = read_header(tiny_model)
    needs = needs_of(header, EngineOptions())
    weights = sum(tensor.n_bytes or 0 for tensor in header.tensors if tensor.name.startswith("blk."))
    assert len(needs.layers) == header.metadata["llama.block_count"]
    assert sum(needs.layers) > weights
    assert needs.output > 0
    assert sum(needs_of(header, EngineOptions(ctx_size=4096)).layers) > sum(needs.layers)
    small = needs_of(header, EngineOptions(cache_type_k="q4_0", cache_type_v="q8_0"))
    assert weights < sum(small.layers) < sum(needs.layers)


def test_gpus_of_sysfs(tmp_path: Path) -> None:
    """Makers by their number, memory where the driver says; what is no GPU's maker is none."""
    for card, files in {
        "card0": {"vendor": "0x1002", "mem_info_vram_total": "17163091968"},
        "card1": {"vendor": "0x8086"},
        "card2": {"vendor": "0x1234"},
    }.items():
        folder = tmp_path / "class" / "drm" / card / "device"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(f"{text}\n")
    found = gpus(tmp_path, ask_driver=False)
    assert found[:2] == [Gpu("AMD", "AMD GPU", 17163091968), Gpu("Intel", "Intel GPU")]
    assert "ROCm" in way_to_a_gpu_build(found, "1.2.3")
    assert "GGML_VULKAN" in way_to_a_gpu_build(found[1:], "1.2.3")
    assert "CUDA" in way_to_a_gpu_build([], "1.2.3")
    assert "CUDA" in way_to_a_gpu_build([*found, Gpu("NVIDIA", "NVIDIA GPU")], "1.2.3")


def test_memory_and_processor(tmp_path: Path) -> None:
    """As the system's files say it; nothing where there are none."""
    meminfo, cpuinfo = tmp_path / "meminfo", tmp_path / "cpuinfo"
    meminfo.write_text("MemTotal:  100 kB\nMemAvailable:  40 kB\nHugePages_Total: x\n")
    cpuinfo.write_text("model name\t: Some CPU\nflags\t\t: fpu avx avx2 avx512f\n")
    assert memory(meminfo, tmp_path) == (40 * 1024, 100 * 1024)
    available, total = memory(tmp_path / "none", tmp_path)
    assert available == 0
    assert total == pytest.approx(memory()[1] or total, rel=0.1)
    for limit, expected in ((60, (40, 60)), (30, (30, 30))):
        (tmp_path / "memory.max").write_text(f"{limit * 1024}\n")
        assert memory(meminfo, tmp_path) == tuple(size * 1024 for size in expected)
    assert processor(cpuinfo) == "Some CPU"
    assert unused_features(["AVX", "FMA"], cpuinfo) == ["AVX2", "AVX512"]
    assert unused_features([], tmp_path / "none") == []
