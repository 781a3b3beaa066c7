"""Whether something is there. What may not be looked at is not there, and whoever opens it learns why.

`pathlib`'s own questions raise OSError for what lies in a folder that may not be entered, or for too long a
name.
"""

from __future__ import annotations

import os
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether there is anything, links followed."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether there is a regular file, links followed."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether there is a folder, links followed."""
    return os.path.isdir(path)  # noqa: PTH112
