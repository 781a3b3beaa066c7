"""Where a command's text comes from: the arguments, files, or standard input."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llmcli.cli.console import Console
from llmcli.errors import InputError

if TYPE_CHECKING:
    from llmcli.tokens.records import Source


def _fail(_place: int, error: InputError) -> None:
    raise error


def sources(
    console: Console,
    texts: Sequence[str],
    files: Sequence[str],
    on_unreadable: Callable[[int, InputError], None] = _fail,
) -> Iterator[Source]:
    """The streams that a command reads: the TEXTs joined by a space, each FILE, or else stdin; - is stdin.

    Files are looked at before the first one is read. `on_unreadable` gets the place among `files` of each
    that can't be read, and may raise the error (as it does by itself); else it is left out.
    """
    from llmcli.tokens.records import Source
    from llmcli.tokens.tokenizer import to_bytes

    sizes = {}
    for place, path in enumerate(files):
        if path != "-":
            try:
                sizes[place] = _size(path)
            except InputError as error:
                on_unreadable(place, error)
    if list(texts) == ["-"] or not (texts or files):
        yield _stdin(console)
    elif texts:
        data = to_bytes(" ".join(texts), "the argument")
        yield Source(io.BytesIO(data), "the argument", len(data))
    for place, path in enumerate(files):
        if path == "-":
            yield _stdin(console)
        elif place in sizes:
            try:
                stream = _opened(path)
            except InputError as error:
                on_unreadable(place, error)
                continue
            with stream:
                yield Source(stream, path, sizes[place])


def known_size(files: Sequence[str]) -> int:
    """Bytes that FILEs are known to have: of a pipe, or of what can't be read, none."""
    n_bytes = 0
    for path in files:
        with suppress(InputError):
            n_bytes += 0 if path == "-" else _size(path)
    return n_bytes


def read_input(console: Console, texts: Sequence[str], files: Sequence[str]) -> list[bytes]:
    """The same, each read whole. Raises InputError."""
    return [b"".join(source.blocks()) for source in sources(console, texts, files)]


def _stdin(console: Console) -> Source:
    from llmcli.tokens.records import Source

    if console.stdin is None:
        raise InputError("standard input is closed")
    return Source(console.stdin, "standard input")


def _size(path: str) -> int:
    """The size of a regular file, 0 of anything else that can be read. Raises InputError."""
    if not path:
        raise InputError("a file's name is empty")
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path}: Is a directory", hint="give the files in it")
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(f"{path}: {getattr(error, 'strerror', None) or error}")
