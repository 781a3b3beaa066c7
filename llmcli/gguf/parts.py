"""The files of a split model: `NAME-00001-of-00003.gguf` and those beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from llmcli.errors import ModelError
from llmcli.settings.there import exists

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
