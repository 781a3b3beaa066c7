"""The pictures in the README: real sessions, typed into a real terminal, drawn as SVG.

    python -m docs.pictures

Each is a run of llmcli with tiny, the model that ships with it, on a pseudo-terminal; what an emulator of a
terminal has on its screen at the end is the picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Picture:
    """What llmcli is called with; in a chat also the lines that are typed, and what stands at the prompt."""

    args: Sequence[str]
    lines: Sequence[str] = ()
    unsent: str = ""


CHAT = ("chat", "-s", "1", "--no-save")
SAMPLE = "Tokenization cuts text into tokens:\n\tcommon words whole, others in pieces, 토큰 🙂"
PICTURES = {
    "chat.svg": Picture(
        (*CHAT, "--stats", "--temp", "0"),
        ("What does top-p do?", "/set temp 0.2", "What is a KV cache?"),
        "/mo",
    ),
    "probs.svg": Picture(
        ("chat", "-s", "4", "--no-save", "-n", "12", "--temp", "1"),
        ("What is a token?", "/probs", "/probs 1", "/probs 1 1"),
    ),
    "tokenize.svg": Picture(("tokenize", "-q", SAMPLE)),
}


def main() -> None:
    """Draw each picture into the folder of this script."""
    for name, picture in PICTURES.items():
        with tempfile.TemporaryDirectory() as home:
            program = Program(Path(home))
            with Terminal(program, *picture.args, rows=ROWS, columns=COLUMNS) as terminal:
                if picture.lines:
                    type_lines(terminal, picture)
                else:
                    terminal.ends()
                draw(terminal, f"llmcli {picture.args[0]}", FOLDER / name)


def type_lines(terminal: Terminal, picture: Picture) -> None:
    """Hold the conversation of a picture."""
    terminal.waits(lambda: at_prompt(terminal), "the first prompt")
    for line in picture.lines:
        says(terminal, line)
    terminal.send(picture.unsent)
    terminal.settles()


def draw(terminal: Terminal, title: str, path: Path) -> None:
    """Write what is on the screen to `path`."""
    with open("/dev/null", "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        was_blank = False
        for row in terminal.cells[: terminal.shown.count("\n") + 1]:
            is_blank = not any(cell.data.strip() for cell in row)
            if is_blank and was_blank:  # the line of figures stands at the bottom of the screen
                continue
            was_blank = is_blank
            line = Text(no_wrap=True)
            for style, cells in groupby(row, key=_style):
                line.append("".join(cell.data for cell in cells), style)
            console.print(line)
        svg = console.export_svg(title=title, theme=MONOKAI, unique_id="llmcli")
    path.write_text(svg, encoding="utf-8")


def _style(cell: Char) -> Style:
    return Style(color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, reverse=cell.reverse)


def _colour(name: str) -> str | None:
    if name in NAMES:
        return NAMES[name]
    return name.replace("bright", "bright_") if name.isalpha() else f"#{name}"


if __name__ == "__main__":
    main()
