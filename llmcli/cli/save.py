"""Writing a file that somebody asked for: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from llmcli.errors import FileError
from llmcli.settings.new_file import new_file


def save(path: str, text: str) -> None:
    """Write `text` beside the file and put it in its place. Raises FileError where that can't be done."""
    target = Path(path)
    try:
        with new_file(target) as write:
            write(text.encode())
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: can't write it: {getattr(error, 'strerror', None) or error}") from None


def save_new(path: Path, text: str) -> None:
    """As `save`, and make the folders that lead to the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path.parent}: can't make the folder: {error.strerror}") from None
    save(str(path), text)
