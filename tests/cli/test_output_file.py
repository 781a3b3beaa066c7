"""`-o FILE` on real files, links, pipes and full disks: the file is whole, or it is what it was before."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.cli.program import Program


class TestWhereAFileCanNotBeReplaced:
    """It is written to as it is."""

    def test_a_pipe_with_a_name(self, llmcli: Program, tmp_path: Path) -> None:
        """A file of numbers needs its length first, and a pipe does not go back."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        ran = llmcli.process("tokenize", "-o", pipe, "the dog", shell=f'cat {pipe} & "$@"; wait')
        assert ran.succeeded().stdout == llmcli("tokenize", "the dog").stdout
        assert pipe.is_fifo()
        args = ["tokenize", "--format", "npy", "-o", pipe, "the dog"]
        llmcli.process(*args, shell=f'cat {pipe} & "$@"; s=$?; wait; exit $s').failed(1, "is a pipe")

    @pytest.mark.parametrize("number", [1, 2])
    def test_the_file_that_the_shell_has_open(self, llmcli: Program, tmp_path: Path, number: int) -> None:
        """Whatever else the shell writes to it stays, before and behind."""
        shell = f'{{ echo A >&{number}; "$@"; echo B >&{number}; }} {number}> all'
        llmcli.process("tokenize", "-o", f"/dev/fd/{number}", "the dog", shell=shell).succeeded()
        answer = llmcli("tokenize", "the dog").text
        assert (tmp_path / "all").read_text() == f"A\n{answer}B\n"
        args = ["probs", "the dog", "--score", "--quiet", "--html", f"/dev/fd/{number}"]
        llmcli.process(*args, shell=shell).succeeded()
        page = (tmp_path / "all").read_text()
        assert page.startswith("A\n") and page.endswith("</html>\nB\n")

    def test_a_head_that_tells_the_length(self, llmcli: Program, tmp_path: Path) -> None:
        """It is written where the answer begins; where all goes to the end of a file it can't be."""
        args = ["tokenize", "--format", "npy", "-o", "/dev/stdout", "the dog"]
        llmcli.process(*args, shell='{ echo A; "$@"; echo B; } > all').succeeded()
        whole = (tmp_path / "all").read_bytes()
        assert whole.startswith(b"A\n") and whole.endswith(b"B\n")
        (tmp_path / "ids.npy").write_bytes(whole[2:-2])
        assert np.load(tmp_path / "ids.npy").tolist() == llmcli("tokenize", "the dog", "--json").json["ids"]
        llmcli.process(*args, shell='"$@" >> all').failed(1, "only appended to")
        assert (tmp_path / "all").read_bytes() == whole

    def test_a_link_is_followed(self, llmcli: Program, tmp_path: Path) -> None:
        """The file that it leads to is replaced, not the link."""
        file, link = tmp_path / "file", tmp_path / "link"
        file.write_text("old")
        link.symlink_to(file)
        llmcli("tokenize", "-o", link, "the dog").succeeded()
        assert link.is_symlink()
        assert file.read_bytes() == llmcli("tokenize", "the dog").stdout


class TestNothingStaysBehind:
    """A file that was there stays as it was, and nothing lies beside it."""

    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        """A file with something in it, alone in its folder."""
        target = tmp_path / "out" / "ids"
        target.parent.mkdir()
        target.write_bytes(b"before")
        return target

    def is_as_before(self, target: Path) -> bool:
        return [path.read_bytes() for path in target.parent.iterdir()] == [b"before"]

    def test_a_bad_record(self, llmcli: Program, target: Path) -> None:
        bad = b'{"text": "a"}\n{'
        llmcli("tokenize", "--jsonl", "text", "--format", "npy", "-o", target, stdin=bad).failed(1, "line 2")
        assert self.is_as_before(target)
        llmcli("tokenize", "--format", "npy", "-o", target / "x", "a").failed(1, "Not a directory")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_that_ends_the_program(
        self, llmcli: Program, target: Path, number: signal.Signals
    ) -> None:
        """In the middle of a stream."""
        with llmcli.started("tokenize", "--lines", "-o", target, talks=True) as running:
            running.send(b"the dog\n")
            while len(list(target.parent.iterdir())) < 2:
                assert running.process.poll() is None
            running.process.send_signal(number)
            assert running.process.wait() == -number
        assert self.is_as_before(target)

    @pytest.mark.parametrize("name", ["ids", "npy"])
    def test_a_full_disk(self, llmcli: Program, target: Path, name: str) -> None:
        """As a limit on the size of files."""
        args = ["tokenize", "--lines", "--format", name, "-o", target]
        text = b"the quick brown fox\n" * 20_000
        llmcli.process(*args, stdin=text, shell='ulimit -f 8; "$@"').failed(1, "File too large")
        assert self.is_as_before(target)


class TestAFileThatChangesWhileItIsRead:
    """What is there when it is read counts."""

    @pytest.mark.parametrize(("size", "n_texts"), [(0, 0), (400_000, 40_000)])
    def test_it_is_cut_short_or_grows(self, llmcli: Program, tmp_path: Path, size: int, n_texts: int) -> None:
        """The lines that were read before stay."""
        file, pipe = tmp_path / "file", tmp_path / "pipe"
        os.mkfifo(pipe)
        file.write_bytes(b"the a dog\n" * 20_000)
        with llmcli.started("tokenize", "--lines", "-f", pipe, "-f", file) as running:
            with pipe.open("wb") as first:
                # All files have been looked at, and the second was not yet opened.
                first.write(b"the dog\n")
                first.flush()
                running.line()
                with file.open("r+b") as second:
                    second.truncate(0)
                    second.write(b"the a dog\n" * (size // 10))
            ran = running.end().succeeded()
        assert len(ran.stdout.splitlines()) == n_texts

    def test_it_vanishes(self, llmcli: Program, tmp_path: Path) -> None:
        """It is named once, also where it was asked for before and counted; the others are counted."""
        file, pipe = tmp_path / "file", tmp_path / "pipe"
        os.mkfifo(pipe)
        file.write_bytes(b"the dog")
        with llmcli.started("count", file, pipe, file, file) as running:
            with pipe.open("wb") as first:
                first.write(b"the dog")
                file.unlink()
            ran = running.end()
        assert ran.exit_status == 1
        assert "file: No such file" in ran.error
        counts = [line.split() for line in ran.stdout.decode().splitlines()]
        assert [Path(name).name for _, name in counts] == ["file", "pipe", "total"]
        assert int(counts[2][0]) == 2 * int(counts[0][0]) > 0
