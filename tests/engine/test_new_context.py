"""Making a context: how large its window is, and what is applied to the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from llmcli.engine.llama import new_context
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.settings.engine import EngineOptions
from tests.engine.contexts import ONE_THREAD, TOLERANCE
from tests.models import make_model


@pytest.mark.parametrize(
    ("batch_size", "ubatch_size", "ctx_size"), [(1, 1, 512), (5, 2, 512), (2048, 512, 1)]
)
def test_more_branches_than_a_batch_has_tokens(
    tiny_model: Path, batch_size: int, ubatch_size: int, ctx_size: int
) -> None:
    """llama.cpp aborts where a batch is smaller than the number of sequences: it is made large enough."""
    asked = replace(ONE_THREAD, batch_size=batch_size, ubatch_size=ubatch_size, ctx_size=ctx_size)
    with LlamaModel(tiny_model, asked) as model, LlamaContext(model, asked, n_sequences=9) as context:
        assert context.cache.n_sequences == 9
        assert context.ready([1, 2, 3]) == 3


class TestAdapters:
    """LoRA adapters."""

    def test_change_the_logits_by_their_scale(self, tiny_model: Path, tmp_path: Path) -> None:
        """An adapter at scale 0 changes nothing, at 1 something, at 2 something else."""
        path = tmp_path / "lora.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 4.0)
        rng = np.random.default_rng(1)
        for name, shape in (("lora_a", (4, 128)), ("lora_b", (64, 4))):
            values = rng.standard_normal(shape, dtype=np.float32)
            writer.add_tensor(f"blk.0.ffn_down.weight.{name}", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        logits = []
        for lora in ((), ((path, 0.0),), ((path, 1.0),), ((path, 2.0),)):
            with LlamaEngine.load(tiny_model, EngineOptions(threads=1, lora=lora)) as engine:
                engine.ready([1, 2, 3, 4])
                logits.append(engine.logits().copy())
        np.testing.assert_allclose(logits[1], logits[0], atol=TOLERANCE)
        assert np.abs(logits[2] - logits[0]).max() > 0.05
        assert np.abs(logits[3] - logits[2]).max() > 0.05


class TestSizes:
    """How large the window is."""

    @pytest.mark.parametrize(
        ("asked", "expected"), [(None, 512), (0, 512), (1, 256), (256, 256), (300, 512), (1024, 1024)]
    )
    def test_as_asked_rounded_up(self, model: LlamaModel, asked: int | None, expected: int) -> None:
        """auto and 0 are the model's own; llama.cpp rounds up to a multiple of 256."""
        with LlamaContext(model, EngineOptions(ctx_size=asked, threads=1)) as context:
            assert context.size == expected

    @pytest.mark.parametrize(("free", "expected"), [(10**12, 16384), (5 * 10**6, 8192), (0, 16384), (1, 512)])
    def test_auto_is_what_fits_in_memory(
        self, tmp_path: Path, monkeypatch: Any, free: int, expected: int
    ) -> None:
        """auto takes no more than half of the free memory, and no more than 16384 anyway."""
        monkeypatch.setattr(new_context, "memory", lambda: (free, free))
        path = make_model(tmp_path / "long.gguf", context=100_000)
        with LlamaModel(path) as model, LlamaContext(model, ONE_THREAD) as context:
            assert model.kv_bytes_per_token() == 2 * 2 * 32 * 2
            assert context.size == expected
