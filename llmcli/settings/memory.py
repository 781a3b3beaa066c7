"""The engine's options on which memory depends: for asking how much a model would take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmcli.settings.engine import EngineOptions

_ENGINE = EngineOptions.__dataclass_fields__


def _of_engine(name: str) -> Any:
    return field(default=_ENGINE[name].default, metadata=_ENGINE[name].metadata)


@dataclass(frozen=True)
class MemoryOptions:
    """Those options, with the flags, defaults and words that they have in chat."""

    ctx_size: int | None = _of_engine("ctx_size")
    n_gpu_layers: int | str = _of_engine("n_gpu_layers")
    batch_size: int = _of_engine("batch_size")
    ubatch_size: int = _of_engine("ubatch_size")
    flash_attn: str = _of_engine("flash_attn")
    cache_type_k: str = _of_engine("cache_type_k")
    cache_type_v: str = _of_engine("cache_type_v")
    swa_full: bool = _of_engine("swa_full")
    cpu_moe: bool = _of_engine("cpu_moe")
