"""Which model: the flag, else the environment, else the one that ships with llmcli."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmcli.errors import UsageError

BUNDLED = "tiny"
"""The name of the model that ships with llmcli."""

BUNDLED_FILE = Path(__file__).parents[1] / "assets" / "tiny.gguf"


@dataclass(frozen=True)
class ModelChoice:
    """The file of the model to use, and whether nobody asked for it."""

    path: Path
    by_default: bool = False


def reference_to(path: Path) -> str:
    """What `choose_model` takes to come to the file at `path` again, from any folder."""
    return BUNDLED if path == BUNDLED_FILE else str(path.absolute())


def choose_model(flag: str | None, environ: Mapping[str, str] = os.environ) -> ModelChoice:
    """The model that the flag names, else LLMCLI_MODEL, else the bundled one.

    A file goes before the bundled model's name. Raises UsageError for `-m ''`.
    """
    if flag == "":
        raise UsageError(
            "-m: no model named", hint="name a GGUF file, or tiny, the model that ships with llmcli"
        )
    reference = flag or environ.get("LLMCLI_MODEL", "")
    if not reference:
        return ModelChoice(BUNDLED_FILE, by_default=True)
    if reference == BUNDLED and not Path(reference).is_file():
        return ModelChoice(BUNDLED_FILE)
    return ModelChoice(Path(reference))
