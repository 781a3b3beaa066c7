"""Which format a command prints in."""

from __future__ import annotations

from collections.abc import Sequence

from llmcli.errors import UsageError


def chosen_format(given: str | None, json: bool, allowed: Sequence[str], default: str) -> str:
    """The format that --format and --json ask for together, else the default.

    Raises UsageError for one that is not allowed, and where the two disagree.
    """
    if given is not None and given not in allowed:
        raise UsageError(f"--format {given}: must be one of {', '.join(allowed)}")
    if json and given not in (None, "json"):
        raise UsageError(f"--json and --format {given} disagree", hint="give one of them")
    return "json" if json else given or default
