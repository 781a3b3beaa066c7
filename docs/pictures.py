"""The pictures in the README: real sessions, typed into a real terminal, drawn as SVG.

    python -m docs.pictures

Each is a run of `llmcli chat` with tiny, the model that ships with llmcli, on a pseudo-terminal; what an
emulator of a terminal has on its screen at the end is the picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.cli.program import Program
from tests.cli.terminal import Terminal
from tests.repl.screen import at_prompt, says

FOLDER = Path(__file__).parent
COLUMNS, ROWS = 96, 60
NAMES = {
    "brown": "yellow",
    "brightbrown": "bright_yellow",
    "bfightmagenta": "bright_magenta",
    "default": None,
}
"""What the emulator calls its colours, where rich calls them something else."""

PICTURES: dict[str, tuple[Sequence[str], Sequence[str], str]] = {
    "chat.svg": (
        ["--stats", "--temp", "0"],
        ["What does top-p do?", "/set temp 0.2", "What is a KV cache?"],
        "/mo",
    ),
    "probs.svg": (
        ["-n", "12", "--temp", "1.5"],
        ["What is a chat template?", "/probs", "/probs 4", "/probs 4 1"],
        "",
    ),
}
"""The options, the lines that are typed, and what stands at the prompt at last."""


def main() -> None:
    """Draw each picture into the folder of this script."""
    for name, (options, lines, unsent) in PICTURES.items():
        with tempfile.TemporaryDirectory() as home:
            program = Program(Path(home))
            with Terminal(
                program, "chat", *options, "-s", "1", "--no-save", rows=ROWS, columns=COLUMNS
            ) as terminal:
                terminal.waits(lambda: at_prompt(terminal), "the first prompt")
                for line in lines:
                    says(terminal, line)
                terminal.send(unsent)
                terminal.settles()
                draw(terminal, FOLDER / name)


def draw(terminal: Terminal, path: Path) -> None:
    """Write what is on the screen to `path`."""
    with open("/dev/null", "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for row in terminal.cells:
            if not any(cell.data.strip() for cell in row):
                continue
            line = Text(no_wrap=True)
            for style, cells in groupby(row, key=_style):
                line.append("".join(cell.data for cell in cells), style)
            console.print(line)
        svg = console.export_svg(title="llmcli chat", theme=MONOKAI, unique_id="llmcli")
    path.write_text(svg, encoding="utf-8")


def _style(cell: Char) -> Style:
    return Style(color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, reverse=cell.reverse)


def _colour(name: str) -> str | None:
    if name in NAMES:
        return NAMES[name]
    return name.replace("bright", "bright_") if name.isalpha() else f"#{name}"


if __name__ == "__main__":
    main()
