"""The KV cache as bytes, and back, within the same version of llama.cpp and the same settings.

llama.cpp believes what it is given: whoever hands bytes to `restore_state` has to be certain that they are,
to the last one, what `saved_state` gave.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from llmcli.engine.llama.aside import PROMPT
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.library import lib, log
from llmcli.errors import EngineError


def state_version() -> str:
    """Which build of llama.cpp writes the bytes: the format changes from one to the next.

    Its file tells them apart, also where LLAMA_CPP_LIB_PATH names another one than the package has. Raises
    OSError where the file is gone.
    """
    library = Path(lib._lib._name)
    there = library.stat()
    return f"{library} {there.st_size} {there.st_mtime_ns}"


def saved_state(context: LlamaContext) -> memoryview:
    """What the cache holds, as bytes. Raises EngineError where llama.cpp can't give it."""
    pointer = context.pointer
    size: int = lib.llama_state_seq_get_size(pointer, PROMPT)
    buffer = (ctypes.c_uint8 * size)()
    with context.abort.calling():
        written = lib.llama_state_seq_get_data(pointer, buffer, size, PROMPT)
    if not size or written != size:
        raise EngineError(f"llama.cpp could not save the cache: {log.reason() or written}")
    return memoryview(buffer).cast("B")


def restore_state(context: LlamaContext, ids: Sequence[int], state: memoryview) -> bool:
    """Put the cache back that held `ids`; False where llama.cpp does not take it: the cache is empty then.

    `state` must be writable memory: llama.cpp reads it where it is.
    """
    if not ids or len(ids) > context.size:
        return False
    for token_id in ids:
        context.check_id(token_id)
    buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
    with context.abort.calling():
        context.hold(())
        read = lib.llama_state_seq_set_data(context.pointer, buffer, len(state), PROMPT)
        last = lib.llama_memory_seq_pos_max(context.cache.memory, PROMPT)
        fits = bool(read == len(state) and last == len(ids) - 1)
        context.hold(ids if fits else ())
    return fits
