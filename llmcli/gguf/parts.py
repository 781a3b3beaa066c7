"""The files of a split model: `NAME-00001-of-00003.gguf` and those beside it."""

from __future__ import annotations

import re
from pathlib import Path

from llmcli.errors import ModelError

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.I)
"""The name of one of them."""


def parts_of(path: Path) -> list[Path]:
    """All files of the model whose first file is `path`: itself, where it is not split.

    Raises ModelError for another part than the first, and where one is missing.
    """
    part = PART.fullmatch(path.name)
    if part is None:
        return [path]
    count = int(part["count"])
    paths = [path.with_name(f"{part['stem']}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]
    missing = next((other for other in paths if not other.exists()), None)
    if int(part["number"]) != 1 and paths[0].exists():
        raise ModelError(
            f"{path}: part {int(part['number'])} of {count} of a split model", hint=f"name {paths[0]}"
        )
    if missing is not None and path.exists():
        raise ModelError(f"{missing}: this part of the model is missing", hint="download it, too")
    return paths if missing is None else [path]
