"""Stores of models in a folder of the test's own, laid out as the programs that own them do it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path


def hub_model(cache: Path, repo: str, files: dict[str, Path], commit: str = "0" * 39 + "1") -> Path:
    """A repository in a Hugging Face cache; the folder of its snapshot."""
    repository = cache / ("models--" + repo.replace("/", "--"))
    snapshot = repository / "snapshots" / commit
    for name, source in files.items():
        blob = repository / "blobs" / hashlib.sha256(name.encode()).hexdigest()
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        place(blob, source)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    return snapshot


def ollama_model(store: Path, name: str, source: Path, *, size: int | None = None) -> Path:
    """A model in Ollama's store, `REGISTRY/NAMESPACE/MODEL/TAG` by its name; its blob."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    manifest = store / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "a" * 64, "size": 3},
        {
            "mediaType": "application/vnd.ollama.image.model",
            "digest": f"sha256:{digest}",
            "size": source.stat().st_size if size is None else size,
        },
    ]
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return place(store / "blobs" / f"sha256-{digest}", source)


def place(path: Path, source: Path) -> Path:
    """A copy of a model, without its bytes being there twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.hardlink_to(source)
    return path
