"""Writing a file whole or not at all: beside its name first, and in its place when it is done."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmcli.errors import FileError
from llmcli.settings.there import exists


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
    if exists(path):
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
