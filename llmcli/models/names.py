"""From what a user types after -m to a file: a path, or the name of a model on this machine."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmcli.errors import ModelError
from llmcli.settings.model import BUNDLED, BUNDLED_FILE

if TYPE_CHECKING:
    from llmcli.models.found import Found

NEAREST = 5
HUB_NAME = re.compile(r"(?:hf\.co/|huggingface\.co/)?([\w][\w.-]*/[\w][\w.-]*(?::[\w.-]+)?)")


def locate(
    reference: str,
    environ: Mapping[str, str] = os.environ,
    folders: Sequence[Path] = (),
) -> Path:
    """The file that `reference` means: a path, `tiny`, or a name that `models list` shows.

    What can only be a path comes back as it is, whether or not something is there. Raises ModelError for a
    name that fits none or several.
    """
    if is_path(reference):
        return Path(reference)
    if reference == BUNDLED:
        return BUNDLED_FILE
    from llmcli.models.find import find

    return choose(reference, find(environ, folders)[0]).path


def is_path(reference: str) -> bool:
    """Whether a reference is a path: something is there, or it is written as one."""
    try:
        there = os.path.lexists(reference)
    except ValueError:  # a NUL
        there = True
    written_so = reference.lower().endswith(".gguf") or reference.startswith(("/", "./", "~"))
    return there or written_so or bool(set(reference) & {"\\", "\0"}) or ".." in reference.split("/")


def choose(reference: str, models: Sequence[Found]) -> Found:
    """The model of that name, or the only one of whose name `reference` is a part.

    Upper and lower case are one; a name without a tag means the tag `latest`, where there is one. Raises
    ModelError naming the nearest.
    """
    asked = reference.casefold()
    by_name: dict[str, Found] = {}
    by_full_name: dict[str, Found] = {}
    for model in models:
        by_name.setdefault(model.name.casefold(), model)
        for full_name in model.full_names:
            by_full_name.setdefault(full_name.casefold(), model)
    for name in (asked, f"{asked}:latest"):
        if name in by_name:
            return by_name[name]
    if asked in by_full_name:
        return by_full_name[asked]
    fits = [model for name, model in by_name.items() if asked in name]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise ModelError(
            f"{reference!r} fits {len(fits)} models: {_enumeration([model.name for model in fits])}",
            hint="give more of the name",
        )
    raise ModelError(f"no model called {reference!r} on this machine", hint=_hint(reference, by_name))


def name_of(path: Path, models: Sequence[Found]) -> str:
    """The name of the model in a file; the file's own where none of `models` lies in it."""
    return next((model.name for model in models if model.path == path), path.name)


def _hint(reference: str, by_name: Mapping[str, Found]) -> str:
    """The nearest names, and the way to get what looks like a model of the hub."""
    near = difflib.get_close_matches(reference.casefold(), by_name, NEAREST, cutoff=0.4)
    words = [f"nearest: {', '.join(by_name[name].name for name in near)}"] if near else []
    if hub := HUB_NAME.fullmatch(reference):
        words.append(f"to download it: llmcli models pull {hub[1]}")
    words.append("'llmcli models list' shows all")
    return "; ".join(words)


def _enumeration(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NEAREST])
    return f"{shown}, and {len(names) - NEAREST} more" if len(names) > NEAREST else shown
