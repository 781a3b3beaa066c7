"""What llmcli itself has put on this machine, and taking it away again; nothing else is ever removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from llmcli.errors import FileError, ModelError
from llmcli.models.found import Found
from llmcli.models.sources import own_models
from llmcli.settings.folders import data_folder
from llmcli.settings.new_file import save

OTHERS = {
    "huggingface": "hf cache rm removes it",
    "ollama": "ollama rm removes it",
    "lmstudio": "LM Studio removes it",
}
"""What to do about a model that is not llmcli's."""


def remember(environ: Mapping[str, str], files: Iterable[Path]) -> None:
    """Note that these files were pulled by llmcli."""
    _write(environ, recorded(environ) | set(map(str, files)))


def recorded(environ: Mapping[str, str]) -> set[str]:
    """The files that were pulled by llmcli."""
    try:
        data = json.loads(_record(environ).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {file for file in data if isinstance(file, str)} if isinstance(data, list) else set()


def check_ours(model: Found, environ: Mapping[str, str]) -> None:
    """Raise ModelError unless the model lies in llmcli's own folder or was pulled by it."""
    ours = recorded(environ)
    own = own_models(environ).resolve()
    # A folder in ours may be a link to somebody else's.
    if not all(str(file) in ours or file.parent.resolve().is_relative_to(own) for file in model.files):
        raise ModelError(
            f"{model.name} was not pulled by llmcli, so it stays: {model.path}",
            hint=OTHERS.get(model.source, "remove the file yourself if you mean to"),
        )


def remove(model: Found, environ: Mapping[str, str]) -> int:
    """Remove a model that is llmcli's; the bytes that are free now.

    Of the hub's cache, the bytes stay where another snapshot still names them. Raises ModelError for a model
    of somebody else's, FileError where a file can't be removed.
    """
    check_ours(model, environ)
    freed = 0
    try:
        for file in model.files:
            freed += _remove(file)
    except OSError as error:
        raise FileError(f"{error.filename}: can't remove it: {error.strerror}") from None
    _write(environ, recorded(environ) - set(map(str, model.files)))
    return freed


def _remove(file: Path) -> int:
    """Remove a file; of a link into the hub's cache, what it leads to, and folders that are empty then.

    Bytes that another name leads to are not free then: where any other link leads stays.
    """
    blob = file.resolve()
    is_link = file.is_symlink()
    there = blob.stat()
    size = there.st_size if there.st_nlink == 1 else 0
    file.unlink()
    repository = next((folder for folder in file.parents if folder.name.startswith("models--")), None)
    if repository is None or not is_link:
        return 0 if is_link else size
    if any(other.resolve() == blob for other in (repository / "snapshots").rglob("*") if other.is_symlink()):
        return 0
    if blob.parent == (repository / "blobs").resolve():
        blob.unlink()
    else:
        size = 0
    for folder in file.parents:
        if folder == repository or any(folder.iterdir()):
            break
        folder.rmdir()
    return size


def _record(environ: Mapping[str, str]) -> Path:
    return data_folder(environ) / "pulled.json"


def _write(environ: Mapping[str, str], files: set[str]) -> None:
    save(_record(environ), json.dumps(sorted(files), indent=1) + "\n", make_folder=True)
