"""Write the completion scripts of this folder anew: `python completions/generate.py`.

The scripts ask the installed llmcli itself what can follow, so they stay true when options change.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FILES = {"bash": "llmcli.bash", "zsh": "_llmcli", "fish": "llmcli.fish"}


def script(shell: str) -> str:
    """The completion script for a shell, as Typer writes it."""
    # Without this Typer would look for the shell it runs in instead of taking the one asked for.
    environ = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "llmcli", "--show-completion", shell]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    for shell, name in FILES.items():
        (FOLDER / name).write_text(script(shell), encoding="utf-8")
