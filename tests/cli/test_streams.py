"""Tokenizing and counting streams: what a pipeline relies on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cli.program import PATIENCE, Program


def test_a_record_leaves_as_soon_as_it_is_done(llmcli: Program) -> None:
    """Behind a slow pipe every line is answered before the next one is written."""
    with llmcli.started("tokenize", "--lines", "--format", "jsonl", talks=True) as running:
        for seq, text in enumerate([b"the quick", b"", b"fox"]):
            running.send(text + b"\n")
            record = json.loads(running.line())
            assert record["seq"] == seq
            assert record["n_tokens"] == len(record["ids"])
        running.send(b"no end")
        assert running.end().stdout.count(b"\n") == 1


def test_input_that_does_not_block(llmcli: Program, tmp_path: Path) -> None:
    """A pipe that another program left non-blocking is read to its end, not to its first pause."""
    there, here = os.pipe()
    os.set_blocking(there, False)
    os.write(here, b"the dog\n")
    with subprocess.Popen(
        [sys.executable, "-m", "llmcli", "tokenize", "--lines"],
        env=llmcli.environ(),
        cwd=tmp_path,
        stdin=there,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout
        first = running.stdout.readline()
        os.write(here, b"the dog\n")
        os.close(here)
        assert running.stdout.read() == first != b""
    os.close(there)


def test_records_in_order(llmcli: Program, tmp_path: Path) -> None:
    """Records of very different lengths keep their order, and each has the ids it has alone."""
    texts = [b"the dog " * (1 + 97 * n % 1500) for n in range(400)]
    file = tmp_path / "lines.txt"
    file.write_bytes(b"\n".join(texts))
    rows = llmcli("tokenize", "--lines", "--format", "jsonl", "-f", file).succeeded().records
    assert [row["seq"] for row in rows] == list(range(400))
    for at in (0, 1, 2, 398, 399):
        assert rows[at]["ids"] == llmcli("tokenize", "--format", "list", stdin=texts[at]).json


@pytest.mark.parametrize("args", [["--lines"], []], ids=["records", "whole"])
def test_a_reader_that_leaves(llmcli: Program, tmp_path: Path, args: list[str]) -> None:
    """`| head -1` ends quietly, however much is left to do."""
    file = tmp_path / "lines.txt"
    file.write_bytes(b"the quick brown fox\n" * 200_000)
    ran = llmcli.process("tokenize", "--format", "lines", "-f", file, *args, shell='"$@" | head -1')
    assert (ran.exit_status, ran.stderr) == (0, "")
    assert ran.stdout.count(b"\n") == 1


def memory(pid: int) -> int:
    """Bytes of a process and of those that it began, what they share counted once."""
    total = 0
    with suppress(OSError):  # it has just ended
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += 1024 * int(re.findall(r"^Pss:\s*(\d+)", rollup, re.MULTILINE)[0])
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(memory(int(child)) for child in (task / "children").read_text().split())
    return total


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="read from Linux's /proc")
@pytest.mark.parametrize("command", ["tokenize", "count"])
def test_memory_stays_small(llmcli: Program, tmp_path: Path, command: str) -> None:
    """60 MB of lines need no more memory than a little: the peak stays under 250 MB."""
    file = tmp_path / "lines.txt"
    with file.open("wb") as out:
        for number in range(60):
            out.write(b"the quick brown fox %d and the dog\n" % number * 30_000)
    args = ["tokenize", "--lines", "-f", file] if command == "tokenize" else ["count", file]
    command_line = [sys.executable, "-m", "llmcli", *map(str, args)]
    peak = 0
    with subprocess.Popen(
        command_line, env=llmcli.environ(), cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as running:
        while running.poll() is None:
            peak = max(peak, memory(running.pid))
            time.sleep(0.05)
    assert running.returncode == 0
    assert 30_000_000 < peak < 250_000_000


def test_records_that_end_with_nul(llmcli: Program) -> None:
    """Newlines belong to the text; nothing after the last NUL is no record."""
    stdin = b"the\ndog\0\0fox\0"
    rows = llmcli("tokenize", "-0", "--format", "jsonl", stdin=stdin).succeeded().records
    texts = [llmcli("detokenize", *row["ids"]).stdout if row["ids"] else b"" for row in rows]
    assert texts == [b"the\ndog", b"", b"fox"]
    cut = llmcli("tokenize", "-0", "--truncate", "100", stdin=stdin).succeeded()
    assert cut.stdout == stdin


def test_several_files_of_records_are_numbered_through(llmcli: Program, tmp_path: Path) -> None:
    """`seq` goes on from file to file; a file without records has none."""
    for name, data in (("a", b"the\ndog"), ("b", b""), ("c", b"fox\n")):
        (tmp_path / name).write_bytes(data)
    files = [arg for name in "abc" for arg in ("-f", tmp_path / name)]
    rows = llmcli("tokenize", "--lines", "--format", "jsonl", *files).succeeded().records
    assert [row["seq"] for row in rows] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "a', "line 2: not JSON"),
        (b'{"text": "\xff"}', "line 2: not UTF-8 at byte 10"),
        (b"[1]", "line 2: not a JSON object"),
        (b'{"body": ""}', "line 2: the field 'text' is missing"),
        (b'{"text": "\\ud800"}', "line 2 holds a lone surrogate"),
        (b"[" * 100_000, "line 2: not JSON"),
    ],
    ids=["cut", "bytes", "list", "field", "surrogate", "deep"],
)
def test_a_bad_line_is_named(llmcli: Program, line: bytes, words: str) -> None:
    """What came before it is out, what comes after it is not; with skip it is left out and counted."""
    stdin = b'{"text": "fox"}\n' + line + b'\n{"text": "dog"}\n'
    ran = llmcli("tokenize", "--jsonl", "text", stdin=stdin)
    assert ran.exit_status == 1
    assert words in ran.error
    assert ran.text.count("\n") == 1
    skipped = llmcli("tokenize", "--jsonl", "text", "--on-error", "skip", stdin=stdin).succeeded()
    assert skipped.text.count("\n") == 2
    assert "1 line was left out" in skipped.stderr


class TestFilesOfNumbers:
    """npy and bin."""

    @pytest.mark.parametrize("args", [[], ["--lines"]], ids=["whole", "records"])
    def test_numpy_loads_them(self, llmcli: Program, tmp_path: Path, args: list[str]) -> None:
        """The ids of all records, one after another, as the help says."""
        stdin = b"the quick brown fox\n\njumps\n" * 1000
        ids = [int(i) for i in llmcli("tokenize", "--format", "lines", *args, stdin=stdin).text.split()]
        for name in ("npy", "bin"):
            llmcli("tokenize", "--format", name, "-o", tmp_path / name, *args, stdin=stdin).succeeded()
        assert np.load(tmp_path / "npy").tolist() == ids
        assert np.load(tmp_path / "npy").dtype == np.uint16
        assert np.fromfile(tmp_path / "bin", "<u2").tolist() == ids

    def test_a_large_vocabulary_takes_four_bytes(self, llmcli: Program, shared: Path, tmp_path: Path) -> None:
        """More than 65,536 tokens do not fit two bytes."""
        model = shared / "vocabs" / "ggml-vocab-qwen2.gguf"
        llmcli(
            "tokenize", "-m", model, "--format", "npy", "-o", tmp_path / "x", "안녕 <|im_end|>"
        ).succeeded()
        expected = llmcli("tokenize", "-m", model, "--format", "list", "안녕 <|im_end|>").json
        assert np.load(tmp_path / "x").tolist() == expected
        assert np.load(tmp_path / "x").dtype == np.uint32


class TestCount:
    """`llmcli count`."""

    def test_as_wc(self, llmcli: Program, tmp_path: Path) -> None:
        """Right-aligned, with names, a total last; the same numbers as tokenize gives."""
        (tmp_path / "a").write_bytes(b"the quick brown fox " * 40)
        (tmp_path / "b").write_bytes(b"")
        expected = len(llmcli("tokenize", "--format", "list", "-f", tmp_path / "a").json)
        rows = llmcli("count", tmp_path / "a", tmp_path / "b").succeeded().text.splitlines()
        assert rows == [f"{expected} {tmp_path / 'a'}", f"{0:>3} {tmp_path / 'b'}", f"{expected} total"]
        assert llmcli("count", stdin=b"").succeeded().text == "0\n"

    def test_own_tokens_only(self, llmcli: Program, stories: Path) -> None:
        """No BOS unless asked for."""
        assert llmcli("count", "-m", stories, stdin=b"Once").text == "1\n"
        assert llmcli("count", "-m", stories, "--bos", "--eos", stdin=b"Once").text == "3\n"

    @pytest.mark.parametrize(("most", "status"), [(9, 1), (10, 0), (11, 0)])
    def test_max(self, llmcli: Program, most: int, status: int) -> None:
        """Above it the exit code is 1, and the count is printed all the same."""
        ran = llmcli("count", "--max", most, stdin=b"!" * 10)
        n_tokens = int(ran.text)
        ran = llmcli("count", "--max", n_tokens + most - 10, stdin=b"!" * 10)
        assert ran.exit_status == status
        assert ran.text == f"{n_tokens}\n"
        assert ("error:" in ran.stderr) == bool(status)

    def test_stats_and_json(self, llmcli: Program, tmp_path: Path) -> None:
        """Bytes and characters are the file's."""
        file = tmp_path / "x"
        file.write_bytes("안녕 fox \udcff".encode("utf-8", "surrogateescape"))
        found = llmcli("count", "--json", file).json
        assert found["total"] == {"tokens": found["files"][0]["tokens"], "bytes": 12, "chars": 8}
        head, row = llmcli("count", "--stats", file).text.splitlines()
        assert head.split() == ["tokens", "bytes", "chars", "bytes/token"]
        assert row.split()[1:3] == ["12", "8"]

    def test_a_fifo(self, llmcli: Program, tmp_path: Path) -> None:
        """A named pipe is read as it comes."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        with subprocess.Popen(["bash", "-c", f"echo the dog > {fifo}"]) as writer:
            ran = llmcli.process("count", fifo)
            assert writer.wait(PATIENCE) == 0
        assert ran.succeeded().text.split()[0] == llmcli("count", stdin=b"the dog\n").text.strip()


class TestChunks:
    """--chunk and --truncate."""

    TEXT = "안녕하세요. The quick 🦙 brown fox\n jumps 👩‍👩‍👧 over the lazy dog. 漢字"

    @pytest.mark.parametrize("model", ["tiny", "stories"])
    @pytest.mark.parametrize(("size", "overlap"), [(8, 0), (9, 3), (16, 15), (1000, 5)])
    def test_chunks(
        self, llmcli: Program, tiny_model: Path, stories: Path, model: str, size: int, overlap: int
    ) -> None:
        """They cover the text, none has too many tokens, and no character is cut."""
        path = tiny_model if model == "tiny" else stories
        data = self.TEXT.encode()
        args = ["tokenize", "-m", path, "--chunk", size, "--overlap", overlap]
        rows = llmcli(*args, stdin=data).succeeded().records
        assert [row["seq"] for row in rows] == list(range(len(rows)))
        assert rows[0]["start"] == 0
        assert rows[-1]["end"] == len(data)
        for row in rows:
            assert data[row["start"] : row["end"]] == row["text"].encode()
            assert 0 < row["n_tokens"] <= size
        for last, row in pairwise(rows):
            assert last["start"] < row["start"] <= last["end"]
            assert overlap or row["start"] == last["end"]

    @pytest.mark.parametrize("n", range(0, 60, 7))
    def test_truncate(self, llmcli: Program, n: int) -> None:
        """The beginning or the end of the text, valid UTF-8, and never more tokens than asked for."""
        data = self.TEXT.encode()
        head = llmcli("tokenize", "--truncate", n, stdin=data).succeeded().stdout
        tail = llmcli("tokenize", "--truncate", n, "--tail", stdin=data).succeeded().stdout
        assert data.startswith(head)
        assert data.endswith(tail)
        for cut in (head, tail):
            cut.decode()  # no character is cut
            assert int(llmcli("count", stdin=cut).text) <= n

    def test_a_character_of_more_tokens_than_a_chunk(self, llmcli: Program) -> None:
        """It can't be cut, so it is an error."""
        llmcli("tokenize", "--chunk", 1, "漢").failed(1, "the character at byte 0 has more than 1 token")

    @pytest.mark.parametrize(
        "args",
        [
            ["--chunk", "0"],
            ["--chunk", "x"],
            ["--chunk", "4", "--overlap", "-1"],
            ["--overlap", "1"],
            ["--tail"],
            ["--truncate", "1", "--chunk", "2"],
            ["--truncate", "1", "--json"],
        ],
        ids=" ".join,
    )
    def test_wrong_usage(self, llmcli: Program, args: list[str]) -> None:
        """Values out of range and flags that do not go together."""
        llmcli("tokenize", *args, "text").failed(2)
