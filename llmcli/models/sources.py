"""Where models lie on this machine: one function for each program that keeps some, in a table.

Each yields what it finds and what it leaves out, and none of them reads a GGUF file.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcli.models.found import Found, Group, LeftOut, distinct, groups, named, reason_of
from llmcli.settings.folders import data_folder, home_folder
from llmcli.settings.model import BUNDLED, BUNDLED_FILE
from llmcli.settings.there import is_file, is_folder

Findings = Iterator[Found | LeftOut]

DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}")
OLLAMA_MODEL = "application/vnd.ollama.image.model"
OLLAMA_REGISTRY = "registry.ollama.ai"

DEPTH_OF_MANIFESTS = 3
"""Folders above a manifest: registry, namespace, model."""

LARGEST_NOTE = 1 << 20
"""Bytes of a manifest or a setting; what is larger is none."""


@dataclass(frozen=True)
class Places:
    """What says where to look: the environment, and the folders that the config file names."""

    environ: Mapping[str, str]
    folders: Sequence[Path] = ()

    @property
    def home(self) -> Path:
        """The user's own folder."""
        return home_folder(self.environ)

    def path(self, name: str) -> Path | None:
        """The path in an environment variable, if there is one."""
        value = self.environ.get(name)
        return Path(value).expanduser() if value else None


def bundled(_places: Places) -> Findings:
    """The model that ships with llmcli."""
    if is_file(BUNDLED_FILE):
        size = BUNDLED_FILE.stat().st_size
        yield Found(BUNDLED, "llmcli", (BUNDLED_FILE,), size, is_whole=True)


def own_folder(places: Places) -> Findings:
    """llmcli's own folder: what a user puts there."""
    yield from _by_file_name(own_models(places.environ), "llmcli")


def config_folders(places: Places) -> Findings:
    """The folders that the config file names."""
    for folder in places.folders:
        yield from _by_file_name(folder.expanduser(), "folder", must_exist=True)


def hub_cache(places: Places) -> Findings:
    """The Hugging Face cache: `models--owner--repo/snapshots/COMMIT/FILE`, a link to a blob."""
    yield from _repositories(hub_folder(places.environ), "huggingface")


def llama_cpp(places: Places) -> Findings:
    """llama.cpp's folder: `owner_repo_FILE` beside `manifest=owner=repo=TAG.json`, or as the hub's."""
    folder = places.path("LLAMA_CACHE") or _cache_home(places) / "llama.cpp"
    yield from _repositories(folder, "llama.cpp")
    repos: dict[str, str] = {}
    for manifest in _children(folder, "manifest=*.json"):
        _, owner, name, *_ = [*manifest.stem.split("="), "", ""]
        described = _json_object(manifest).get("ggufFile")
        file = described.get("rfilename") if isinstance(described, dict) else None
        if isinstance(file, str):
            local = f"{owner}_{name}_{file}".replace("/", "_").replace("\\", "_")
            repos[local.lower()] = f"{owner}/{name}"
    loose = []
    by_repo: dict[str, list[Group]] = {}
    for found in _files_here(folder):
        if isinstance(found, LeftOut):
            yield found
        elif known := repos.get(found.files[0].name.lower()):
            by_repo.setdefault(known, []).append(found)
        else:
            loose.append(found)
    for repo, siblings in by_repo.items():
        yield from _of_repository(repo, siblings, "llama.cpp")
    yield from _loose(loose, "llama.cpp")


def lm_studio(places: Places) -> Findings:
    """LM Studio's folder: `publisher/model/FILE`."""
    homes = [places.home / ".lmstudio", places.home / ".cache" / "lm-studio"]
    if pointer := _text(places.home / ".lmstudio-home-pointer").strip():
        homes.insert(0, Path(pointer))
    moved = (_json_object(home / "settings.json").get("downloadsFolder") for home in homes)
    folders = [Path(folder) for folder in moved if isinstance(folder, str)]
    for folder in dict.fromkeys([*folders, *(home / "models" for home in homes)]):
        by_repo: dict[str, list[Group]] = {}
        for found in groups(folder) if is_folder(folder) else ():
            if isinstance(found, LeftOut):
                yield found
                continue
            repo = found.files[0].parent.relative_to(folder).as_posix()
            by_repo.setdefault(repo, []).append(found)
        for repo, siblings in by_repo.items():
            if repo == ".":
                yield from _loose(siblings, "lmstudio")
            else:
                yield from _of_repository(repo, siblings, "lmstudio")


def ollama(places: Places) -> Findings:
    """Ollama's store: `manifests/REGISTRY/NAMESPACE/MODEL/TAG` names blobs `sha256-...`."""
    chosen = places.path("OLLAMA_MODELS")
    service = Path("/usr/share/ollama/.ollama/models")
    for folder in [chosen] if chosen else [places.home / ".ollama" / "models", service]:
        manifests = folder / "manifests"
        for manifest in _manifests(manifests):
            if isinstance(manifest, LeftOut):
                yield manifest
                continue
            registry, namespace, model, tag = manifest.relative_to(manifests).parts
            name = f"{registry}/{namespace}/{model}:{tag}"
            name = name.removeprefix(f"{OLLAMA_REGISTRY}/").removeprefix("library/")
            layers = _json_object(manifest).get("layers")
            layer = _weights(layers if isinstance(layers, list) else [])
            if layer is None:
                yield LeftOut(manifest, "names no GGUF file")
                continue
            blob = folder / "blobs" / layer["digest"].replace(":", "-")
            yield _blob(blob, name, layer.get("size"))


SOURCES: dict[str, Callable[[Places], Findings]] = {
    "bundled": bundled,
    "llmcli": own_folder,
    "folder": config_folders,
    "huggingface": hub_cache,
    "ollama": ollama,
    "lmstudio": lm_studio,
    "llama.cpp": llama_cpp,
}
"""In the order in which a name that two of them know is looked up."""


def own_models(environ: Mapping[str, str]) -> Path:
    """llmcli's own folder for models."""
    return data_folder(environ) / "models"


def hub_folder(environ: Mapping[str, str]) -> Path:
    """The Hugging Face cache, by huggingface_hub's own rules."""
    places = Places(environ)
    chosen = places.path("HF_HUB_CACHE") or places.path("HUGGINGFACE_HUB_CACHE")
    if chosen:
        return chosen
    home = places.path("HF_HOME")
    cache = places.path("XDG_CACHE_HOME") or places.home / ".cache"
    return (home or cache / "huggingface") / "hub"


def _repositories(folder: Path, source: str) -> Findings:
    for repository in _children(folder, "models--*--*"):
        repo = repository.name.removeprefix("models--").replace("--", "/")
        newest: dict[str, Group] = {}
        for snapshot in _snapshots(repository):
            for found in groups(snapshot):
                if isinstance(found, LeftOut):
                    yield found
                else:
                    newest.setdefault(found.place, found)
        yield from _of_repository(repo, list(newest.values()), source, in_snapshots=True)
        if newest:
            for blob in _children(repository / "blobs", "*.incomplete"):
                yield LeftOut(blob, "a half download")


def _snapshots(repository: Path) -> list[Path]:
    """The snapshots of a repository, the one of its main branch first, then the newest."""
    main = _text(repository / "refs" / "main").strip()
    snapshots = _children(repository / "snapshots", "*")
    return sorted(snapshots, key=lambda path: (path.name != main, -_changed(path)))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _by_file_name(folder: Path, source: str, *, must_exist: bool = False) -> Findings:
    if not must_exist and not is_folder(folder):
        return
    loose = []
    for found in groups(folder):
        if isinstance(found, LeftOut):
            yield found
        else:
            loose.append(found)
    yield from _loose(loose, source)


def _files_here(folder: Path) -> Iterator[Group | LeftOut]:
    """The models that lie in a folder itself."""
    for found in groups(folder) if is_folder(folder) else ():
        path = found.path if isinstance(found, LeftOut) else found.files[0]
        if path.parent == folder:
            yield found


def _of_repository(
    repo: str, siblings: Sequence[Group], source: str, *, in_snapshots: bool = False
) -> Iterator[Found]:
    """The models of one repository. A link in a snapshot stands for a file that came whole."""
    for name, group in named(repo, siblings):
        is_whole = in_snapshots and all(path.is_symlink() for path in group.files)
        full_names = (f"{repo}:{group.stem}", f"{repo}:{group.place}")
        yield Found(name, source, group.files, group.size, is_whole, full_names)


def _loose(siblings: Sequence[Group], source: str) -> Iterator[Found]:
    """Models of no repository, by their files' names."""
    names = distinct([group.place for group in siblings])
    for name, group in zip(names, siblings, strict=True):
        yield Found(name, source, group.files, group.size)


def _weights(layers: Sequence[Any]) -> dict[str, Any] | None:
    """The layer of an Ollama manifest that is the GGUF file, if there is just one."""
    models = [
        layer
        for layer in layers
        if isinstance(layer, dict)
        and layer.get("mediaType") == OLLAMA_MODEL
        and DIGEST.fullmatch(str(layer.get("digest")))
    ]
    return models[0] if len(models) == 1 else None


def _manifests(folder: Path) -> Iterator[Path | LeftOut]:
    """The files four folders down, and the folders that can't be read: the store may be a service's."""
    problems: list[OSError] = []
    # A link that leads in a circle ends with the depth.
    for parent, folders, files in os.walk(folder, onerror=problems.append, followlinks=True):
        folders.sort()
        if len(Path(parent).relative_to(folder).parts) == DEPTH_OF_MANIFESTS:
            folders.clear()
            yield from (Path(parent, file) for file in sorted(files))
    for problem in problems:
        if not isinstance(problem, FileNotFoundError):
            yield LeftOut(Path(problem.filename), reason_of(problem))


def _blob(blob: Path, name: str, size: object) -> Found | LeftOut:
    try:
        real = blob.stat().st_size
    except OSError as error:
        return LeftOut(blob, f"{name}: {reason_of(error)}")
    if isinstance(size, int) and size != real:
        return LeftOut(blob, f"{name}: {real:,} bytes of {size:,}: a half download")
    return Found(name, "ollama", (blob,), real, is_whole=isinstance(size, int))


def _cache_home(places: Places) -> Path:
    """Where llama.cpp looks for the folder of caches."""
    if platform.system() == "Darwin":
        return places.home / "Library" / "Caches"
    if platform.system() == "Windows":
        return places.path("LOCALAPPDATA") or places.home / "AppData" / "Local"
    return places.path("XDG_CACHE_HOME") or places.home / ".cache"


def _children(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except (OSError, ValueError):
        return []


def _json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none."""
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _text(path: Path) -> str:
    """The text of a file in which a program writes down what it has; empty where there is none."""
    try:
        # Asked before opening: to open a FIFO waits for its writer.
        if not is_file(path) or path.stat().st_size > LARGEST_NOTE:
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
