"""The completion scripts of bash, zsh and fish, which completions/generate.py writes."""

from __future__ import annotations

from pathlib import Path

from llmcli.settings.there import is_folder

FILES = {"bash": "llmcli.bash", "zsh": "_llmcli", "fish": "llmcli.fish"}
"""The file of each shell's script."""

_PACKAGE = Path(__file__).parents[1]


def completion_script(shell: str) -> str:
    """The script of a shell, a key of FILES: a wheel carries it, a checkout has it beside the package."""
    carried = _PACKAGE / "assets" / "completions"
    folder = carried if is_folder(carried) else _PACKAGE.parent / "completions"
    return (folder / FILES[shell]).read_text(encoding="utf-8")
