"""Code in a process of its own: what would kill it is a failing test, and no more."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


def in_child(code: str, *arguments: object) -> str:
    """What `code`, run in a process of its own with `arguments` in sys.argv, prints; fails if it dies."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
