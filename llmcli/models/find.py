"""Every model on this machine: what the sources find, and what the files say of themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmcli.errors import GgufError
from llmcli.gguf.summary import Summary
from llmcli.models.found import Found, LeftOut, quantization_in, reason_of
from llmcli.models.remembered import Remembered
from llmcli.models.sources import SOURCES, Places


@dataclass(frozen=True)
class Listed:
    """A model with what a list shows of it."""

    found: Found
    summary: Summary

    @property
    def quantization(self) -> str | None:
        """As the name has it, which may know more (`UD-Q4_K_XL`) than the file (`Q4_K_M`)."""
        told = quantization_in(self.found.path.name.removesuffix(".gguf"))
        return told or self.summary.quantization


def find(
    environ: Mapping[str, str] = os.environ, folders: Sequence[Path] = ()
) -> tuple[list[Found], list[LeftOut]]:
    """The models of all sources, of `folders` too, and what was left out; no GGUF file is read.

    A file that two sources come to under one name, as where programs share a folder, is listed once.
    """
    models: dict[object, Found] = {}
    left_out: dict[Path, LeftOut] = {}
    places = Places(environ, folders)
    for source in SOURCES.values():
        for found in source(places):
            if isinstance(found, LeftOut):
                left_out.setdefault(found.path, found)
            else:
                models.setdefault((found.name, _identity(found.path)), found)
    return list(models.values()), list(left_out.values())


def look(models: Iterable[Found], remembered: Remembered) -> Iterator[Listed | LeftOut]:
    """What the files say of themselves, each as soon as it is read; what is no whole model is left out."""
    for found in models:
        try:
            summary = remembered.summary(found.path, to_the_end=not found.is_whole)
            if summary.parameters is not None and len(found.files) > 1:
                rest = [remembered.summary(path, to_the_end=True).parameters or 0 for path in found.files[1:]]
                summary = replace(summary, parameters=summary.parameters + sum(rest))
        except (GgufError, OSError) as error:
            reason = error.message if isinstance(error, GgufError) else reason_of(error)
            yield LeftOut(found.path, reason.removeprefix(f"{found.path}: "))
            continue
        if summary.kind in ("model", "vocabulary"):
            yield Listed(found, summary)
        else:
            yield LeftOut(found.path, f"holds no model, but: {summary.kind}")
    remembered.save()


def _identity(path: Path) -> object:
    """The same for every link to a file."""
    try:
        there = path.stat()
    except OSError:
        return path
    return (there.st_dev, there.st_ino) if there.st_ino else path.resolve()
