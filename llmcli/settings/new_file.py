"""Writing a file whole or not at all: beside its name first, and in its place when it is done."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from llmcli.errors import FileError
from llmcli.settings.there import exists, is_file


@contextmanager
def new_file(path: Path, header: Callable[[int], bytes] | None = None) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to a file, which stands under its name only when the block ends well.

    A link is followed. A pipe or a device that has the name stays, and is written to as it comes. `header`
    makes the file's head from the number of bytes behind it. Raises FileError.
    """
    beside: Path | None = None
    try:
        if exists(path) and not is_file(path):
            file: BinaryIO = path.open("wb")
        else:
            path = path.resolve()
            number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            file, beside = os.fdopen(number, "wb"), Path(name)
    except (OSError, RuntimeError, ValueError) as error:
        raise _failed(path, error) from None
    n_bytes = 0
    try:
        with file:
            if header and not file.seekable():
                raise FileError(f"{path}: is a pipe, and the length of all is to stand at the beginning")

            def write(data: bytes) -> None:
                nonlocal n_bytes
                n_bytes += len(data)
                try:
                    file.write(data)
                    if beside is None:
                        file.flush()
                except OSError as error:
                    raise _failed(path, error) from None

            if header:
                file.write(header(0))
            yield write
            if header:
                file.seek(0)
                file.write(header(n_bytes))
        if beside:
            beside.chmod(_mode_of(path))
            beside.replace(path)
    except OSError as error:
        raise _failed(path, error) from None
    finally:
        if beside:
            with suppress(OSError):
                beside.unlink()


def _failed(path: Path, error: Exception) -> FileError:
    return FileError(f"{path}: {getattr(error, 'strerror', None) or error}")


def _mode_of(path: Path) -> int:
    """The permissions of the file that is there, else those that a new file gets."""
    if exists(path):
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
