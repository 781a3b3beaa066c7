"""Ids as files of numbers: raw, and NumPy's own format.

Both hold the ids of all records one after another, little-endian, uint16 where the vocabulary has at most
65,536 tokens, else uint32:

    numpy.load("ids.npy")
    numpy.fromfile("ids.bin", dtype="<u2")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcli.tokens.batch import BatchIds

_NPY_HEADER = 128


def as_numbers(n_tokens: int) -> Callable[[BatchIds], bytes]:
    """The function that writes a batch's ids as raw numbers."""
    import numpy as np

    kind = dtype(n_tokens)
    return lambda found: np.asarray(found.ids, kind).tobytes()


def dtype(n_tokens: int) -> str:
    """NumPy's name for the numbers of a vocabulary of this size."""
    return "<u2" if n_tokens <= 1 << 16 else "<u4"


def npy_header(n_tokens: int, n_bytes: int) -> bytes:
    """The head of a .npy file that holds `n_bytes` of ids; always as long, so that it can be written last.

    The format is described in numpy.lib.format, version 1.0.
    """
    count = n_bytes // int(dtype(n_tokens)[2])
    fields = f"{{'descr': '{dtype(n_tokens)}', 'fortran_order': False, 'shape': ({count},), }}"
    text = fields.ljust(_NPY_HEADER - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
