"""The KV cache of a session on disk, so that whoever comes back to it does not wait for its prompt again.

A snapshot is never needed: one that is damaged, or of another model, other settings or another llama.cpp, is
as good as none. llama.cpp itself checks nothing, so a checksum stands at the end of each file:

    "llmcli kv 1\\n" | header's length, 8 bytes | header, JSON: fingerprint, ids | state | BLAKE2b, 32 bytes
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llmcli.engine.protocol import Resumable
from llmcli.errors import EngineError, FileError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.new_file import new_file

SHORTEST = 256
"""A cache of no more tokens is made anew as quickly."""
LIMIT = 2 << 30
"""Bytes that all snapshots may take together."""

_MAGIC = b"llmcli kv 1\n"
_DIGEST = 32
_LENGTH = 8
_BLOCK = 1 << 20
_ENDS = 1 << 16
"""Bytes of a file's beginning and end that tell it from others of its size and time."""
_NO_MATTER = ("ctx_size", "threads", "threads_batch", "no_mmap", "mlock")
"""Options that leave the cache as it is; for the window's size its real one stands."""


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of an engine in a folder. `fingerprint` says of which model and settings they are.

    `explain` hears why one was not kept or not used.
    """

    folder: Path
    engine: Resumable
    fingerprint: str
    explain: Callable[[str], None] = lambda _reason: None
    limit: int = LIMIT

    def keep(self, key: str) -> None:
        """Write down the engine's cache for the session `key`, if it is worth it and there is room."""
        ids = list(self.engine.cached)
        if len(ids) <= SHORTEST:
            return
        try:
            state = self.engine.state()
            header = json.dumps({"fingerprint": self.fingerprint, "ids": ids}).encode()
            head = _MAGIC + len(header).to_bytes(_LENGTH, "little") + header
            size = len(head) + len(state) + _DIGEST
            if not self._make_room(size):
                self.explain(f"the cache is not kept: its {size:,} bytes are more than all may take together")
                return
            digest = blake2b(head, digest_size=_DIGEST)
            with new_file(_file(self.folder, key)) as write:
                write(head)
                for start in range(0, len(state), _BLOCK):
                    block = bytes(state[start : start + _BLOCK])
                    digest.update(block)
                    write(block)
                write(digest.digest())
        except (OSError, FileError, EngineError) as error:
            self.explain(f"the cache is not kept: {error}")

    def resume(self, key: str) -> Sequence[int]:
        """Give the engine the cache of the session `key`; the ids in it, none where there is no good one."""
        path = _file(self.folder, key)
        try:
            data = bytearray(path.stat().st_size)
            with path.open("rb") as file:
                n_read = file.readinto(data)
        except FileNotFoundError:
            return ()
        except OSError as error:
            self.explain(f"the kept cache can't be read: {error}")
            return ()
        if n_read != len(data) or not _is_whole(data):
            self.explain(f"the kept cache is damaged: {path}")
            return ()
        header, start = _header(data)
        if header["fingerprint"] != self.fingerprint:
            self.explain("the kept cache is of another model, other settings or another llama.cpp")
            return ()
        ids: list[int] = header["ids"]
        if not self.engine.restore(ids, memoryview(data)[start:-_DIGEST]):
            self.explain("llama.cpp does not take the kept cache")
            return ()
        with suppress(OSError):
            os.utime(path)  # the least recently used one goes first
        self.explain(f"the cache of {len(ids):,} tokens is there again")
        return ids

    def forget(self, key: str) -> None:
        """Remove what is kept of the session `key`."""
        forget(self.folder, key)

    def _make_room(self, size: int) -> bool:
        """Remove what was not used for longest until `size` bytes more fit; whether they do."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self.folder.iterdir())
        total = sum(n_bytes for _, n_bytes, _ in found)
        for _, n_bytes, path in found:
            if total + size <= self.limit:
                break
            path.unlink(missing_ok=True)
            total -= n_bytes
        return total + size <= self.limit


def forget(folder: Path, key: str) -> None:
    """Remove the snapshot of the session `key`, if there is one."""
    with suppress(OSError):
        _file(folder, key).unlink()


def fingerprint_of(model: Path, options: EngineOptions, context_size: int, version: str) -> str:
    """A text that is another one for another model file, other settings, or another llama.cpp.

    Raises OSError where a file can't be read.
    """
    settings: dict[str, Any] = {k: v for k, v in asdict(options).items() if k not in _NO_MATTER}
    settings["context_size"] = context_size
    files = [_file_mark(model), *(_file_mark(path) for path, _ in options.lora)]
    known = json.dumps([version, files, settings], default=str, sort_keys=True)
    return blake2b(known.encode(), digest_size=_DIGEST).hexdigest()


def _file_mark(path: Path) -> list[Any]:
    """What tells a file from others without reading all of it: size, time, beginning and end."""
    with path.open("rb") as file:
        known = os.fstat(file.fileno())
        ends = blake2b(file.read(_ENDS))
        if stat.S_ISREG(known.st_mode):
            file.seek(max(0, known.st_size - _ENDS))
            ends.update(file.read(_ENDS))
    return [known.st_size, known.st_mtime_ns, ends.hexdigest()]


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key}.kv"


def _is_whole(data: bytearray) -> bool:
    """Whether every byte is as it was written."""
    view = memoryview(data)
    if not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + _LENGTH + _DIGEST:
        return False
    return blake2b(view[:-_DIGEST], digest_size=_DIGEST).digest() == view[-_DIGEST:]


def _header(data: bytearray) -> tuple[dict[str, Any], int]:
    """The header of a whole file, and where the state begins."""
    start = len(_MAGIC) + _LENGTH
    end = start + int.from_bytes(data[len(_MAGIC) : start], "little")
    header: dict[str, Any] = json.loads(data[start:end])
    return header, end
