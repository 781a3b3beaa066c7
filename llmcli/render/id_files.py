"""Ids as files of numbers: raw, and NumPy's own format.

Both hold the ids of all records one after another, little-endian, uint16 where the vocabulary has at most
65,536 tokens, else uint32:

    numpy.load("ids.npy")
    numpy.fromfile("ids.bin", dtype="<u2")
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmcli.errors import FileError

if TYPE_CHECKING:
    from llmcli.tokens.batch import BatchIds

_NPY_HEADER = 128


def as_numbers(n_tokens: int) -> Callable[[BatchIds], bytes]:
    """The function that writes a batch's ids as raw numbers."""
    kind = dtype(n_tokens)
    return lambda found: found.ids.astype(kind).tobytes()


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


@contextmanager
def new_file(path: Path, header: Callable[[int], bytes] | None = None) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to a file, which stands under its name only when the block ends well.

    `header` makes the file's head from the number of bytes behind it. Raises FileError.
    """
    n_bytes = 0
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(number, "wb") as file:

            def write(data: bytes) -> None:
                nonlocal n_bytes
                n_bytes += len(data)
                try:
                    file.write(data)
                except OSError as error:
                    raise FileError(f"{path}: {error.strerror}") from None

            if header:
                file.write(header(0))
            yield write
            if header:
                file.seek(0)
                file.write(header(n_bytes))
        Path(name).chmod(_mode_of(path))
        Path(name).replace(path)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            Path(name).unlink()


def _mode_of(path: Path) -> int:
    """The permissions of the file that is there, else those that a new file gets."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
