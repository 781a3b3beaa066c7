"""Writing a file whole or not at all: beside its name first, and in its place when it is done."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from llmcli.errors import FileError
from llmcli.settings.ending import before_ending
from llmcli.settings.there import exists, is_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@contextmanager
def new_file(path: Path, header: Callable[[int], bytes] | None = None) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to a file, which stands under its name only when the block ends well.

    A link is followed. What can't be replaced is written to as it comes: a pipe, a device, and the file that
    this program's own stdout or stderr goes to. `header` makes the file's head from the number of bytes
    behind it. Raises FileError.
    """
    beside: Path | None = None

    def remove() -> None:
        if beside:
            with suppress(OSError):
                beside.unlink()

    with before_ending(remove):
        try:
            file = _as_it_is(path)
            if file is None:
                path = path.resolve()
                # Named before it is there: a signal may come as soon as it is.
                beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
                file = os.fdopen(os.open(beside, _NEW, 0o600), "wb")
        except (OSError, RuntimeError, ValueError) as error:
            raise _failed(path, error) from None
        n_bytes = 0
        try:
            with file:
                if header and not _goes_back(file):
                    raise FileError(
                        f"{path}: is a pipe or only appended to, and the length of all is to stand at the "
                        "beginning"
                    )

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
                    begin = file.tell()
                    file.write(header(0))
                yield write
                if header:
                    end = file.tell()
                    file.seek(begin)
                    file.write(header(n_bytes))
                    file.seek(end)  # where whoever shares the file goes on
            if beside:
                beside.chmod(_mode_of(path))
                beside.replace(path)
        except OSError as error:
            raise _failed(path, error) from None
        finally:
            remove()


def save(path: Path, text: str, *, make_folder: bool = False) -> None:
    """Write a text as UTF-8, as `new_file` does; with `make_folder` the folders that lead to it as well.

    Raises FileError.
    """
    if make_folder:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(path.parent, error) from None
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise _failed(path, error) from None
    with new_file(path) as write:
        write(data)


def _as_it_is(path: Path) -> BinaryIO | None:
    """The file at `path`, opened as it is, where none can be put in its place."""
    if not exists(path):
        return None
    if not is_file(path):
        return path.open("wb")
    there = path.stat()
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(there, os.fstat(descriptor)):
                return os.fdopen(os.dup(descriptor), "wb")
    return None


def _goes_back(file: BinaryIO) -> bool:
    """Whether the beginning can be written once more: not in a pipe, nor where all goes to a file's end."""
    if not file.seekable():
        return False
    return fcntl is None or not fcntl.fcntl(file, fcntl.F_GETFL) & os.O_APPEND


def _failed(path: Path, error: Exception) -> FileError:
    return FileError(f"{path}: can't write it: {getattr(error, 'strerror', None) or error}")


def _mode_of(path: Path) -> int:
    """The permissions of the file that is there, else those that a new file gets."""
    if exists(path):
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
