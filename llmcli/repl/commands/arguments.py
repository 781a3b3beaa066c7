"""What the words behind a slash command may mean: a number, a path."""

from __future__ import annotations

from pathlib import Path

from llmcli.errors import InputError
from llmcli.settings.values import whole


def counted(argument: str) -> int:
    """A number as lists show it; -1, which no list has, for any other text.

    >>> counted("12"), counted("x"), counted("9" * 5000)
    (12, -1, -1)
    """
    try:
        return whole(argument)
    except ValueError:
        return -1


def path_of(argument: str) -> Path:
    """A path, with ~ and ~user spelled out. Raises InputError where no path can be called so."""
    try:
        path = Path(argument).expanduser()
        path.stat()
    except FileNotFoundError:
        return path
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"{argument}: {getattr(error, 'strerror', None) or error}") from None
    return path
