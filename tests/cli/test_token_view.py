"""The tokens on a real terminal: colours, cell widths, and what stands in for them without."""

from __future__ import annotations

from rich.cells import cell_len

from tests.cli.program import Program
from tests.cli.terminal import Terminal

TEXT = "안녕 漢 🦙 the\tfox\nthe end"


def lines(terminal: Terminal) -> list[str]:
    terminal.ends()
    return terminal.shown.splitlines()


def test_columns_line_up(llmcli: Program) -> None:
    """Wide characters take two cells: what stands behind them stands in one column all the same."""
    with Terminal(llmcli, "vocab", "--grep", "[가-힣]|dog|the") as terminal:
        terminal.ends()
        rows = [line for line in terminal.shown.splitlines() if "normal" in line]
    assert len({cell_len(line[: line.index("normal")]) for line in rows}) == 1
    assert any(cell_len(line) > len(line) for line in rows)


def test_pieces_have_colours(llmcli: Program) -> None:
    """Neighbours differ, and the text is all there."""
    with Terminal(llmcli, "tokenize", "the fox thinks") as terminal:
        shown = lines(terminal)
    assert shown[0].replace("·", " ") == "the fox thinks"
    assert b"\x1b[30;106m" in terminal.received
    assert b"\x1b[30;103m" in terminal.received


def test_without_colours_marks_stand_between_them(llmcli: Program) -> None:
    """NO_COLOR: no colour is sent, and every border can be seen."""
    with Terminal(llmcli, "tokenize", TEXT, env={"NO_COLOR": "1"}) as terminal:
        shown = lines(terminal)
    assert b"\x1b[30" not in terminal.received
    assert "|" in shown[1]
    assert shown[1].replace("|", "") == "the·end"
    assert "|\\t|" in shown[0]


def test_a_vocabulary_cannot_drive_the_terminal(llmcli: Program) -> None:
    """Control characters of a text and of a vocabulary are escapes, in each view."""
    for args in (
        ("tokenize", "a\x1b[31mb\u202ec"),
        ("tokenize", "--explain", "a\x1b[31mb\u202ec"),
        ("tokenize", "--compare", llmcli.model, "a\x1b[31mb\u202ec"),
        ("vocab", "--byte"),
    ):
        with Terminal(llmcli, *args, env={"NO_COLOR": "1"}) as terminal:
            terminal.ends()
        assert b"\x1b[31m" not in terminal.received
        assert "\u202e".encode() not in terminal.received


def test_tables_fit_a_narrow_terminal(llmcli: Program) -> None:
    """In 40 columns a row stays a row: what can be spared is left out, and no word is broken in two."""
    args: tuple[object, ...]
    for args, head, rows in (
        (("vocab", "--grep", "the"), ["id", "piece", "kind"], 3),
        (("tokenize", TEXT), ["index", "id", "piece", "offsets"], 4),
        (("tokenize", "--compare", llmcli.model, "the"), ["tokenizer", "tokens", "bytes/token"], 4),
    ):
        with Terminal(llmcli, *args, columns=40) as terminal:
            shown = [line.split() for line in lines(terminal)]
        at = shown.index(head)
        assert all(len(row) == rows for row in shown[at + 1 : at + 3]), shown
    with Terminal(llmcli, "tokenize", "--explain", "the fox", columns=40) as terminal:
        shown = [line.split() for line in lines(terminal)]
    prose = " ".join(word for line in shown for word in line)
    assert "Each word begins as single characters. Of all neighbours, the pair that stands" in prose
    assert max(len(line) for line in terminal.shown.splitlines()) <= 40
