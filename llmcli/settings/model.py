"""Which model: the flag, else the environment, else the config file, else the one that ships with llmcli."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmcli.errors import UsageError
from llmcli.settings.option import option
from llmcli.settings.there import is_file
from llmcli.settings.values import nonempty

BUNDLED = "tiny"
"""The name of the model that ships with llmcli."""

BUNDLED_FILE = Path(__file__).parents[1] / "assets" / "tiny.gguf"


@dataclass(frozen=True)
class ModelOptions:
    """The model of whoever names none."""

    model: str = option(
        BUNDLED,
        "-m",
        "--model",
        metavar="REF",
        parse=nonempty,
        env="LLMCLI_MODEL",
        help="The model: a GGUF file, an alias, or a name that 'llmcli models list' shows.",
    )


@dataclass(frozen=True)
class FolderOptions:
    """Where models lie, beside the folders that are known."""

    folders: tuple[str, ...] = option(
        (), metavar="FOLDER", parse=nonempty, repeatable=True, help="More folders with models in them."
    )


@dataclass(frozen=True)
class AliasOptions:
    """A name of the user's own for a model."""

    name: str | None = option(None, metavar="REF", parse=nonempty, help="Another name for a model.")


@dataclass(frozen=True)
class ModelChoice:
    """The file of the model to use, and whether nobody asked for it."""

    path: Path
    by_default: bool = False


def reference_to(path: Path) -> str:
    """What `choose_model` takes to come to the file at `path` again, from any folder."""
    return BUNDLED if path == BUNDLED_FILE else str(path.absolute())


def choose_model(
    flag: str | None,
    environ: Mapping[str, str] = os.environ,
    configured: str = "",
    aliases: Mapping[str, str] | None = None,
) -> ModelChoice:
    """The model that the flag names, else LLMCLI_MODEL, else the one configured, else the bundled one.

    A file goes before a name, and the bundled model's before an alias. Raises UsageError for `-m ''`.
    """
    if flag == "":
        raise UsageError(
            "-m: no model named", hint="name a GGUF file, or tiny, the model that ships with llmcli"
        )
    reference = flag or environ.get("LLMCLI_MODEL", "") or configured
    if not reference:
        return ModelChoice(BUNDLED_FILE, by_default=True)
    if not is_file(Path(reference)):
        if reference != BUNDLED:
            reference = (aliases or {}).get(reference, reference)
        if reference == BUNDLED and not is_file(Path(reference)):
            return ModelChoice(BUNDLED_FILE)
    return ModelChoice(Path(reference))
