"""Golden files: each file in tests/cases is a command line with what it reads, prints and returns."""

from __future__ import annotations

import math
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.program import ROOT, Program

CASES = ROOT / "tests" / "cases"
WRITE = bool(os.environ.get("LLMCLI_WRITE_CASES"))
PART = re.compile(r"^--- (stdin|exit|stdout|stderr) ?(\d*)\n", re.M)
FRACTION = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
BAR = re.compile(r"[ ▏▎▍▌▋▊▉█]+")


@dataclass(frozen=True)
class Case:
    """One file, read."""

    command: str
    stdin: str
    exit_status: int
    stdout: str
    stderr: str

    @classmethod
    def read(cls, path: Path) -> Case:
        """The case in a file."""
        command, *parts = PART.split(path.read_bytes().decode())
        found = {name: (number, text) for name, number, text in zip(*[iter(parts)] * 3, strict=True)}
        assert command.startswith("$ llmcli ")
        texts = {
            name: found.get(name, ("", ""))[1].removesuffix("\\\n") for name in ("stdin", "stdout", "stderr")
        }
        return cls(command, **texts, exit_status=int(found.get("exit", ("0", ""))[0]))

    def write(self, path: Path) -> None:
        """The file of the case."""
        exit_part = f"--- exit {self.exit_status}\n" if self.exit_status else ""
        written = self.command + exit_part
        for name in ("stdin", "stdout", "stderr"):
            if text := getattr(self, name):
                written += f"--- {name}\n{text}" + ("" if text.endswith("\n") else "\\\n")
        path.write_bytes(written.encode())


def same(got: str, wanted: str) -> bool:
    """Whether two outputs are the same, but for the last digits of floating-point sums."""
    if FRACTION.sub("#", BAR.sub(" ", got)) != FRACTION.sub("#", BAR.sub(" ", wanted)):
        return False
    pairs = zip(FRACTION.findall(got), FRACTION.findall(wanted), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=0.02, abs_tol=0.005) for a, b in pairs)


@pytest.mark.parametrize("path", sorted(CASES.glob("*.case")), ids=lambda path: path.stem)
def test_case(
    path: Path,
    tiny_model: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command prints and returns what the file says."""
    monkeypatch.setenv("COLUMNS", "100")
    case = Case.read(path)
    names = {"TINY": str(tiny_model), "CASES": str(CASES)}
    args = shlex.split(case.command)[2:]
    if "STORIES" in args:
        names["STORIES"] = str(request.getfixturevalue("stories"))
    ran = Program(tmp_path)(*(names.get(arg, arg) for arg in args), stdin=case.stdin.encode())
    stderr = ran.stderr
    for name, value in names.items():
        stderr = stderr.replace(value, name)
    got = Case(case.command, case.stdin, ran.exit_status, ran.text, stderr)
    if WRITE:
        got.write(path)
    assert got.exit_status == case.exit_status
    assert same(got.stdout, case.stdout), got.stdout
    assert same(got.stderr, case.stderr), got.stderr


def test_there_are_cases() -> None:
    """The folder was found."""
    assert len(list(CASES.glob("*.case"))) > 20
