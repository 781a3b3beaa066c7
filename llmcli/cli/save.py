"""Writing a file that somebody asked for: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from llmcli.errors import FileError


def save(path: str, text: str) -> None:
    """Write `text` beside the file and put it in its place. Raises FileError where that can't be done."""
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a terminal, a pipe: nothing to put in its place
            target.write_text(text, encoding="utf-8")
            return
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            beside.chmod(0o666 & ~umask)  # as any program's own files
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: can't write it: {getattr(error, 'strerror', None) or error}") from None
