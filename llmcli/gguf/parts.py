"""The files of a split model: `NAME-00001-of-00003.gguf` and those beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from llmcli.errors import ModelError
from llmcli.settings.there import exists

File = TypeVar("File")

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.I | re.A)


@dataclass(frozen=True)
class Part:
    """What the name of a file says: that it is part `number` of `count`, from 1."""

    stem: str
    number: int
    count: int


def part_in(name: str) -> Part | None:
    """The part of a split model that a file of this name is; None for a name that tells of none.

    >>> part_in("Model-F16-00002-of-00003.gguf")
    Part(stem='Model-F16', number=2, count=3)
    >>> part_in("Model-F16-00000-of-00000.gguf") is None
    True
    """
    match = _PART.fullmatch(name)
    if match is None or not 1 <= int(match["number"]) <= int(match["count"]):
        return None
    return Part(match["stem"], int(match["number"]), int(match["count"]))


@dataclass(frozen=True)
class Together(Generic[File]):
    """Files that are one model by their names: a single one, or the parts of a split one."""

    stem: str
    """Their common name with its folder, without part and ending: ``sub/Model-F16``."""
    files: tuple[File, ...]
    """In order of the parts."""
    count: int
    """How many there should be."""
    missing: int | None
    """The first part that is not there."""


def together(files: Iterable[tuple[str, File]]) -> list[Together[File]]:
    """The models that these files are, each file with its name; what is left out of a split model is missing.

    Where several whole models have one stem, a split one is called by its first file instead.

    >>> [(one.stem, one.files, one.missing) for one in together([
    ...     ("m.gguf", "a"), ("m-00002-of-00002.gguf", "c"), ("m-00001-of-00002.gguf", "b"),
    ...     ("n-00003-of-00003.gguf", "d")])]
    [('m', ('a',), None), ('m-00001-of-00002', ('b', 'c'), None), ('n', ('d',), 1)]
    """
    sets: dict[tuple[str, int], dict[int, tuple[str, File]]] = {}
    for name, file in files:
        part = part_in(name)
        key = (part.stem, part.count) if part else (name, 1)
        sets.setdefault(key, {})[part.number if part else 1] = name, file
    found = []
    for (stem, count), have in sets.items():
        first, *_ = ordered = [have[number] for number in sorted(have)]
        missing = next((number for number in range(1, count + 1) if number not in have), None)
        stem = stem if part_in(first[0]) else _without_ending(stem)
        found.append((first[0], Together(stem, tuple(file for _, file in ordered), count, missing)))
    n_whole = Counter(one.stem for _, one in found if one.missing is None)
    return [
        replace(one, stem=_without_ending(first)) if n_whole[one.stem] > 1 else one for first, one in found
    ]


def parts_of(path: Path) -> list[Path]:
    """All files of the model whose first file is `path`: itself, where it is not split.

    Raises ModelError for another part than the first, and where one is missing.
    """
    match, part = _PART.fullmatch(path.name), part_in(path.name)
    if match is None or part is None or not exists(path):
        return [path]
    paths = []
    for number in range(1, part.count + 1):
        name = f"{path.name[: match.start('number')]}{number:05}{path.name[match.end('number') :]}"
        paths.append(path.with_name(name))
        if not exists(paths[-1]):
            raise ModelError(f"{paths[-1]}: this part of the model is missing", hint="download it, too")
        if part.number > number == 1:
            raise ModelError(
                f"{path}: part {part.number} of {part.count} of a split model", hint=f"name {paths[0]}"
            )
    return paths


def _without_ending(name: str) -> str:
    return name[: -len(".gguf")]
