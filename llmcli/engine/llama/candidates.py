"""The tokens that a chain of samplers chooses from, as llama.cpp takes them and as it leaves them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from llmcli.engine.llama.library import lib
from llmcli.engine.protocol import Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATE = [("id", "i4"), ("logit", "f4"), ("p", "f4")]
"""llama_token_data, as NumPy spells it."""


def candidates_of(logits: NDArray[np.float32]) -> tuple[NDArray[Any], Any]:
    """The whole vocabulary with its logits, as llama.cpp's samplers take it."""
    import numpy as np

    candidates = np.zeros(len(logits), CANDIDATE)
    candidates["id"] = np.arange(len(logits), dtype=np.int32)
    candidates["logit"] = logits
    data = candidates.ctypes.data_as(lib.llama_token_data_p)
    array = lib.llama_token_data_array(data=data, size=len(logits), selected=-1, sorted=False)
    return candidates, array


def stage_of(name: str, params: dict[str, Any], array: Any) -> Stage:
    """A copy of what is left: the array belongs to the samplers and changes under them."""
    import numpy as np

    n_bytes = array.size * ctypes.sizeof(lib.llama_token_data)
    buffer = ctypes.cast(array.data, ctypes.POINTER(ctypes.c_char * n_bytes))
    left = np.frombuffer(buffer.contents, CANDIDATE)
    left = left[left["logit"] > -np.inf]
    return Stage(name, params, left["id"].copy(), left["logit"].copy())
