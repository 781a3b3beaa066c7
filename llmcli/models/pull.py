"""Fetching a model from the hub into the hub's own cache, where other programs find it, too.

huggingface_hub's own download begins anew after an interruption and checks sizes alone. So the bytes are
fetched here, with its client: into `blobs/HASH.incomplete`, where the next try goes on. That becomes
`blobs/HASH` when size and SHA-256 are what the hub states: a file is never there by half under its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llmcli.errors import FileError, ModelError
from llmcli.models.hub import Hub, HubFile, Repository, parse_reference, translated
from llmcli.models.pulled import remember
from llmcli.models.sources import hub_folder
from llmcli.models.variants import Variant, choose
from llmcli.settings.there import exists, is_file

if TYPE_CHECKING:
    from hashlib import _Hash

    import httpx2

CHUNK = 1 << 20
TRIES = 5
"""How often in a row a connection may break without a byte having come."""
PAUSE = 1.0
"""Seconds before the next try."""
LARGEST = 50 * 10**9
"""The hub sends no larger file over HTTP."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and those that there will be, of all files."""


@dataclass(frozen=True)
class Pulled:
    """A model that is in the hub's cache now."""

    name: str
    repository: Repository
    variant: Variant
    files: tuple[Path, ...]
    downloaded: int
    """Bytes that came over the network; 0 where all was there."""


def pull(
    reference: str,
    environ: Mapping[str, str] = os.environ,
    *,
    on_choice: Callable[[Repository, Variant], None] | None = None,
    on_progress: Progress | None = None,
) -> Pulled:
    """Fetch `owner/repo[:QUANT]`, or see that it is there.

    Raises UsageError for what is no such name, ModelError where the hub does not give it or gives something
    else, FileError where it can't be written. What has arrived stays for the next try in all of these cases.
    """
    name, tag = parse_reference(reference)
    hub = Hub.of(environ)
    repository = hub.repository(name)
    variant = choose(repository, tag)
    if on_choice:
        on_choice(repository, variant)
    folder = hub_folder(environ) / ("models--" + name.replace("/", "--"))
    try:
        return _pull(hub, repository, variant, folder, environ, on_progress)
    except OSError as error:
        where = error.filename or folder
        raise FileError(f"{where}: can't write it: {error.strerror or error}") from None


def _pull(
    hub: Hub,
    repository: Repository,
    variant: Variant,
    folder: Path,
    environ: Mapping[str, str],
    on_progress: Progress | None,
) -> Pulled:
    blobs = folder / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    snapshot = folder / "snapshots" / repository.commit
    missing = [
        file
        for file in variant.files
        if not (_is_whole(blobs / file.sha256, file) or _is_whole(snapshot / file.name, file))
    ]
    _check_space(blobs, missing)
    downloaded = 0
    before = sum(file.size for file in variant.files) - sum(file.size for file in missing)
    with translated(hub, repository.name):
        for file in missing:

            def tell(done: int, before: int = before) -> None:
                if on_progress:
                    on_progress(before + done, variant.size)

            downloaded += _fetch(hub, repository, file, blobs, tell)
            before += file.size
    links = tuple(snapshot / file.name for file in variant.files)
    new = [link for link in links if not exists(link)]
    for file, link in zip(variant.files, links, strict=True):
        _link(blobs / file.sha256, link)
    main = folder / "refs" / "main"
    main.parent.mkdir(exist_ok=True)
    main.write_text(repository.commit, encoding="ascii")
    if new:
        remember(environ, new)
    name = f"{repository.name}:{variant.tag}"
    return Pulled(name, repository, variant, links, downloaded)


def _is_whole(path: Path, file: HubFile) -> bool:
    return is_file(path) and path.stat().st_size == file.size


def _check_space(blobs: Path, missing: list[HubFile]) -> None:
    """Raise FileError where the disk has no room for what is still to come."""
    needed = 0
    for file in missing:
        if file.size > LARGEST:
            raise ModelError(
                f"{file.name} is larger than the 50 GB that the hub sends over HTTP",
                hint="fetch it with huggingface_hub's own program, 'hf download'; llmcli finds it then",
            )
        part = _part(blobs, file)
        needed += max(0, file.size - (part.stat().st_size if is_file(part) else 0))
    free = shutil.disk_usage(blobs).free
    if needed > free:
        raise FileError(
            f"{needed:,} bytes to download, but only {free:,} are free in {blobs}",
            hint="make room, or set HF_HUB_CACHE to a folder on another disk",
        )


def _part(blobs: Path, file: HubFile) -> Path:
    return blobs / f"{file.sha256}.incomplete"


def _fetch(hub: Hub, repository: Repository, file: HubFile, blobs: Path, tell: Callable[[int], None]) -> int:
    """Download one file, from where the last try ended; the bytes that came over the network."""
    from huggingface_hub.utils import WeakFileLock

    locks = blobs.parent.parent / ".locks" / blobs.parent.name
    locks.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(locks / f"{file.sha256}.lock"):
        if _is_whole(blobs / file.sha256, file):  # another process was faster
            return 0
        part = _part(blobs, file)
        with part.open("ab+") as target:
            already = _hashed(target, file.size, tell)
            received = _Received(target, already, file, tell)
            _receive(hub, repository, received)
            target.flush()
            os.fsync(target.fileno())
        if received.hash.hexdigest() != file.sha256:
            part.unlink()
            raise ModelError(
                f"{file.name}: what came is not what the hub says it is (SHA-256 differs)",
                hint="pull it again; nothing was kept",
            )
        part.replace(blobs / file.sha256)
        return received.came


@dataclass
class _Received:
    """A file as far as it has come."""

    target: BinaryIO
    hash: _Hash
    file: HubFile
    tell: Callable[[int], None]

    def __post_init__(self) -> None:
        self.size = self.target.tell()
        self.came = 0
        """Bytes that came over the network."""

    def take(self, chunk: bytes) -> None:
        """Write the next bytes. Raises ModelError for more than there should be."""
        self.size += len(chunk)
        self.came += len(chunk)
        if self.size > self.file.size:
            raise ModelError(
                f"{self.file.name}: the hub says {self.file.size:,} bytes, but sends more",
                hint="pull it again later",
            )
        self.target.write(chunk)
        self.hash.update(chunk)
        self.tell(self.size)

    def begin_anew(self) -> None:
        """Forget what has come."""
        self.target.truncate(0)
        self.hash = hashlib.sha256()
        self.size = 0


def _hashed(target: BinaryIO, size: int, tell: Callable[[int], None]) -> _Hash:
    """The hash of what is there already, the file's place at its end; one that is too long begins anew."""
    sha256 = hashlib.sha256()
    if target.seek(0, os.SEEK_END) > size:
        target.truncate(0)
    target.seek(0)
    while chunk := target.read(CHUNK):
        sha256.update(chunk)
        tell(target.tell())
    return sha256


def _receive(hub: Hub, repository: Repository, received: _Received) -> None:
    """Take all bytes of a file, over as many connections as it needs. Raises the client's errors."""
    import httpx2

    failures = 0
    while received.size < received.file.size:
        before = received.size
        problem: httpx2.TransportError | None = None
        try:
            for chunk in _stream(hub, repository, received):
                received.take(chunk)
        except httpx2.TransportError as error:
            problem = error
        if received.size == before:
            failures += 1
        else:
            failures = 0
        if failures >= TRIES:
            raise problem or ModelError(
                f"{received.file.name}: the hub says {received.file.size:,} bytes, but sends {before:,}",
                hint="pull it again later",
            )
        if received.size < received.file.size:
            time.sleep(PAUSE)


def _stream(hub: Hub, repository: Repository, received: _Received) -> Iterator[bytes]:
    """The bytes of a file from where it ends now."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(repository.name, received.file.name, revision=repository.commit, endpoint=hub.endpoint)
    headers = {**build_hf_headers(token=hub.token), "Accept-Encoding": "identity"}
    if received.size:
        headers["Range"] = f"bytes={received.size}-"
    with get_session().stream("GET", url, headers=headers, timeout=hub.patience) as response:
        hf_raise_for_status(response)
        if received.size and response.status_code != 206:
            received.begin_anew()
        yield from response.iter_raw()


def _link(blob: Path, link: Path) -> None:
    """Give a blob its file's name in a snapshot: by a link, or where links can't be, in the blob's place."""
    if exists(link):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(blob, link.parent))
    except OSError:
        blob.replace(link)
