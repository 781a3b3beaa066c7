"""LoRA adapters: small changes to a model's weights, applied by a context."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmcli.engine.llama.library import lib, log
from llmcli.errors import ModelError
from llmcli.gguf.header import read_header


def apply_adapters(
    lora: Sequence[tuple[Path, float]], model: int, context: int | None, adapters: list[Any]
) -> None:
    """Load each adapter for a C model and apply it with its scale in a C context.

    `adapters` collects the pointers, for the caller to free. Raises ModelError with llama.cpp's own reason.
    """
    if not lora:
        return
    scales = []
    for path, scale in lora:
        read_header(path)
        log.lines.clear()
        adapter = lib.llama_adapter_lora_init(model, os.fsencode(path))
        if not adapter:  # a null pointer, not None
            raise ModelError(f"{path}: llama.cpp can't load the adapter: {log.reason() or 'no reason given'}")
        adapters.append(adapter)
        scales.append(scale)
    count = len(scales)
    pointers = (lib.llama_adapter_lora_p_ctypes * count)(*adapters)
    lib.llama_set_adapters_lora(context, pointers, count, (ctypes.c_float * count)(*scales))
