"""The memory that a header promises is what llama.cpp then sets aside."""

from __future__ import annotations

import re
from pathlib import Path

import gguf
import numpy as np
import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.library import log
from llmcli.engine.llama.placing import needs_of
from llmcli.gguf.header import read_header
from llmcli.gguf.memory import Memory, estimate
from llmcli.settings.engine import EngineOptions
from llmcli.settings.memory import MemoryOptions
from llmcli.settings.option import build
from tests.models import make_model

MIB = 2**20
BUFFER = re.compile(r"(?<!~llama_context: )\b\S+ +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plain model, and one of which every other layer sees a window of 512 tokens."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "plain": make_model(folder / "plain.gguf", context=65536, width=256, heads=4, layers=4),
        "sliding": make_model(
            folder / "sliding.gguf", context=65536, width=256, heads=4, layers=4, window=512
        ),
    }


def said(path: Path, options: dict[str, str]) -> dict[str, float]:
    """The bytes that llama.cpp logs for each of its buffers when it loads a model."""
    lines: list[str] = []
    log.sink = lines.append
    try:
        with LlamaEngine.load(path, build(EngineOptions, {"threads": "1", **options})):
            text = "".join(lines)  # closing logs them again
    finally:
        log.sink = None
    sizes = dict.fromkeys(("model", "KV", "RS", "compute", "output"), 0.0)
    for name, size in BUFFER.findall(text):
        sizes[name] += float(size) * MIB
    return sizes


def estimated(path: Path, **options: str) -> Memory:
    """The estimate for a file."""
    return estimate([read_header(path)], build(MemoryOptions, options))


@pytest.mark.parametrize("model", ["plain", "sliding"])
@pytest.mark.parametrize(
    "options",
    [
        {"ctx_size": "1000"},
        {"ctx_size": "16384"},
        {"ctx_size": "8192", "flash_attn": "off"},
        {"ctx_size": "8192", "ubatch_size": "128"},
        {"ctx_size": "4096", "cache_type_k": "q8_0", "cache_type_v": "q4_0"},
        {"ctx_size": "4096", "swa_full": "yes"},
        {},
    ],
    ids=str,
)
def test_as_llama_cpp_has_it(models: dict[str, Path], model: str, options: dict[str, str]) -> None:
    """Weights and cache to the byte, but for what a log rounds; all together within 10 %."""
    there, promised = said(models[model], options), estimated(models[model], **options)
    assert promised.weights == pytest.approx(there["model"], rel=0.01)
    assert promised.kv_cache == pytest.approx(there["KV"], abs=0.01 * MIB)
    assert promised.total == pytest.approx(sum(there.values()), rel=0.1)


def test_a_real_model(stories: Path) -> None:
    """Grouped heads, and a context of the model's own."""
    there, promised = said(stories, {}), estimated(stories)
    assert promised.context_size == 2048
    assert promised.kv_cache == pytest.approx(there["KV"], abs=0.01 * MIB)
    assert promised.total == pytest.approx(sum(there.values()), rel=0.1)


def test_layers_on_the_gpu(models: dict[str, Path]) -> None:
    """They are counted from the end, the output first; the embedding stays; `all` is all of them."""
    path = models["plain"]
    shares = [estimated(path, n_gpu_layers=n).on_gpu for n in ("0", "1", "2", "4", "5", "99")]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert len(set(shares)) == 5
    memory = estimated(path, n_gpu_layers="all")
    embedding = next(t.n_bytes for t in read_header(path).tensors if t.name == "token_embd.weight")
    assert memory.on_gpu == shares[-1] == memory.total - (embedding or 0)
    assert estimated(path).on_gpu == 0


def test_experts_that_stay_on_the_cpu(tmp_path: Path) -> None:
    """`--cpu-moe` takes them off the GPU's share, whatever the numbers of the layers."""
    path = tmp_path / "experts.gguf"
    out = gguf.GGUFWriter(path, "llama")
    out.add_embedding_length(32)
    for number in (0, 7):
        out.add_tensor(f"blk.{number}.ffn_up_exps.weight", np.ones((4, 8, 32), dtype=np.float32))
        out.add_tensor(f"blk.{number}.ffn_norm.weight", np.ones(32, dtype=np.float32))
    for write in (out.write_header_to_file, out.write_kv_data_to_file, out.write_tensors_to_file, out.close):
        write()
    whole, spared = (estimated(path, n_gpu_layers="all", **more) for more in ({}, {"cpu_moe": "yes"}))
    assert whole.on_gpu - spared.on_gpu == 2 * 4 * (4 * 8 * 32)
    assert spared.layers == (4 * 32, 4 * 32)
    assert needs_of(read_header(path), EngineOptions(cpu_moe=True)).layers == spared.layers


def test_a_vocabulary_takes_next_to_nothing(vocab_files: list[Path]) -> None:
    """A file without weights is no error."""
    for path in vocab_files:
        memory = estimated(path)
        assert memory.weights == memory.kv_cache == 0
