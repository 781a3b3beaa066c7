"""`llmcli probs` as a person sees it: tables in any width, colours and marks, the page, and Ctrl-C."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llmcli.render.bars import sparkline
from llmcli.render.tokens import visible_piece
from tests.cli.program import Program
from tests.cli.terminal import Terminal

TEXT = "the quick brown fox"
TOKEN = {"id", "text", "bytes"}


class TestTables:
    """What a person sees."""

    @pytest.mark.parametrize(
        "args",
        [
            ["--token", " dog", "--temp", 1],
            ["--temps", "0,0.5,1,2"],
            ["--chain", "--typical", 0.9, "--top-nsigma", 3, "--repeat-penalty", 1.1],
            ["--steps", 2],
            ["--score"],
            ["--continue", " fox", "--continue", " 한국어"],
            ["--tree", 2],
            ["--versus-prompt", "a brown fox"],
            ["--versus-prompt", "a brown fox", "--score"],
            ["--chat"],
        ],
        ids=lambda args: args[0],
    )
    def test_a_narrow_terminal(self, llmcli: Program, args: list[object]) -> None:
        """At 40 columns no line is broken but those of words, and bars still have room."""
        with Terminal(llmcli, "probs", "the quick brown fox", *args, columns=40) as terminal:
            assert terminal.ends() == 0, terminal.shown
        assert "…" not in terminal.shown
        assert all(len(line) <= 40 for line in terminal.shown.splitlines())
        rows = [line for line in terminal.shown.splitlines() if " %" in line]
        assert rows or args[-1] == "--score"

    @pytest.mark.parametrize(
        "args",
        [
            ["probs", TEXT, "--temps", "0,0.5,1,2"],
            ["probs", TEXT, "--chain", "--top-k", 2],
            ["probs", TEXT, "--score"],
            ["probs", TEXT, "--continue", " fox", "--continue", " 한국어"],
            ["tokenize", "--format", "table", TEXT],
            ["tokenize", "--explain", TEXT],
            ["probs", TEXT, "--temps", "0,1", "--color", "always"],
        ],
        ids=lambda args: " ".join(map(str, args)),
    )
    def test_no_blanks_at_the_ends_of_lines(self, llmcli: Program, args: list[object]) -> None:
        """In a pipe, where other programs cut and compare them."""
        shown = llmcli(*args).succeeded().text
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert len(lines) > 3
        assert [line for line in lines if line != line.rstrip()] == []

    @pytest.mark.parametrize("columns", [20, 40, 80])
    def test_more_temperatures_than_fit(self, llmcli: Program, columns: int) -> None:
        """In tables one below the other: every column with its percent signs, every row with its token."""
        top = llmcli("probs", TEXT, "-k", 3, "--json").json["top"]
        args = ["probs", TEXT, "-k", 3, "--temps", "0,0.5,1,1.5,2,3,4,5,100"]
        with Terminal(llmcli, *args, columns=columns) as terminal:
            assert terminal.ends() == 0
        assert re.findall(r"T=(\S+)", terminal.shown) == ["0", "0.5", "1", "1.5", "2", "3", "4", "5", "100"]
        assert len(re.findall(r"\d %", terminal.shown)) == 3 * 9
        n_tables = terminal.shown.count("token ")
        for candidate in top:
            name = visible_piece(bytes(candidate["bytes"]))
            assert len(re.findall(rf"^ *(?:\d+ +\d+ +)?{re.escape(name)} ", terminal.shown, re.M)) == n_tables

    def test_score_in_colours_and_without(self, llmcli: Program) -> None:
        """Each token in the colour of its probability; without colours a mark behind it."""
        with Terminal(llmcli, "probs", TEXT, "--score") as terminal:
            assert terminal.ends() == 0
        assert b"\x1b[1;37;41mick" in terminal.received
        assert "below 0.1 %" not in terminal.shown
        with Terminal(llmcli, "probs", TEXT, "--score", env={"NO_COLOR": "1"}) as terminal:
            assert terminal.ends() == 0
        assert "below 0.1 %" in terminal.shown
        assert terminal.shown.splitlines()[0].startswith("the qu²")

    def test_a_sparkline(self) -> None:
        """As wide as it may be, the highest value the highest."""
        assert sparkline([0, 1, 2, 7], 10) == "▁▂▃█"
        assert sparkline(list(range(100)), 8) == "▁▂▃▄▅▆▇█"
        assert sparkline([], 8) == ""

    def test_steps_keep_what_was_shown(self, llmcli: Program, wide_model: Path) -> None:
        """Ctrl-C ends the loop; the text so far is there."""
        with llmcli.started("probs", TEXT, "-m", wide_model, "-c", 8192, "--steps", 8000) as running:
            first = running.line()
            running.interrupt()
            ran = running.end(first)
        assert ran.exit_status == 130
        assert ran.text.splitlines()[-1].startswith(TEXT)
        assert "error" not in ran.stderr

    def test_a_score_keeps_what_was_scored(self, llmcli: Program, wide_model: Path) -> None:
        """Ctrl-C ends it; what is there by then is shown, with how much of the text it is."""
        (llmcli.home / "long.txt").write_text(f"{TEXT} " * 20_000)
        args = ["-m", wide_model, "-c", 512, "-f", llmcli.home / "long.txt"]
        with Terminal(llmcli, "probs", *args, "--score") as terminal:
            terminal.waits(lambda: bool(re.search(r"scoring .*\d:\d\d:\d\d", terminal.shown)), "progress")
            terminal.interrupt()
            assert terminal.ends() == 130
        found = re.search(r"interrupted after ([\d,]+) of ([\d,]+) tokens", terminal.shown)
        assert found is not None
        n, of = (int(figure.replace(",", "")) for figure in found.groups())
        assert 1 < n < of
        assert f"{n - 1:,} tokens scored" in terminal.shown

    def test_a_comparison_keeps_what_was_compared(self, llmcli: Program, wide_model: Path) -> None:
        """Ctrl-C ends it, too, and what was compared is shown."""
        (llmcli.home / "long.txt").write_text(f"{TEXT} " * 20_000)
        args = ["-m", wide_model, "-c", 512, "-f", llmcli.home / "long.txt", "--versus", wide_model]
        with Terminal(llmcli, "probs", *args, "--score") as terminal:
            terminal.waits(lambda: bool(re.search(r"comparing .*\d:\d\d:\d\d", terminal.shown)), "progress")
            terminal.interrupt()
            assert terminal.ends() == 130
        assert re.search(r"interrupted after [\d,]+ tokens", terminal.shown)


class TestPage:
    """--html."""

    def test_nothing_from_outside(self, llmcli: Program) -> None:
        """One page without scripts or addresses; what the text spells is text."""
        nasty = "<script>alert(1)</script> & \u202e \x1b[31m"
        assert b"wrote" not in llmcli("probs", nasty, "--score", "--html", llmcli.home / "a.html").stdout
        page = (llmcli.home / "a.html").read_text()
        for forbidden in ("<script", "http:", "https:", "url(", "@import", "\u202e", "\x1b", " src="):
            assert forbidden not in page
        assert page.startswith("<!DOCTYPE html>")
        assert "&amp;" in page

    def test_in_a_browser(self, llmcli: Program, tmp_path: Path) -> None:
        """A real browser shows every token with its card, in light and dark."""
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if chromium is None:
            pytest.skip("needs chromium")
        page = tmp_path / "page.html"
        llmcli("probs", f"{TEXT}\n한국어 <b>", "--score", "-k", 2, "--html", page).succeeded()
        n = len(llmcli("tokenize", f"{TEXT}\n한국어 <b>").text.split())
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        done = subprocess.run(
            [chromium, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
            capture_output=True,
            timeout=60,
            check=True,
        )
        shown = done.stdout.decode()
        assert shown.count('tabindex="0"') == n
        assert shown.count('class="tip"') == n
        assert "<b>" in shown  # the cards' own
        assert "&lt;" in shown
        assert "<polyline" in shown
