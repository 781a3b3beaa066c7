"""Golden files: what a user types, and what they see. Adding a file to tests/cases adds a test.

A case is a text file whose lines begin with

    $   the command; {tiny} and {stories} stand for the models
    <   a line of stdin
    |   a line of stdout
    !   a line of stderr
    ?   the exit code (0 where it is missing)
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.program import Program

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*.txt"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, llmcli: Program, tiny_model: Path, request: pytest.FixtureRequest) -> None:
    """Exit code, stdout and stderr are those of the file."""
    lines = path.read_text("utf-8").splitlines()
    text = "\n".join(lines)
    models = {"tiny": str(tiny_model)}
    if "{stories}" in text:
        models["stories"] = str(request.getfixturevalue("stories"))
    [command] = _marked(lines, "$")
    args = [word.format(**models) if "{" in word else word for word in shlex.split(command)[1:]]
    ran = llmcli(*args, stdin=_joined(_marked(lines, "<")).encode())
    assert ran.stderr == _joined(_marked(lines, "!"))
    assert ran.text == _joined(_marked(lines, "|"))
    assert ran.exit_status == int((_marked(lines, "?") or ["0"])[0])


def test_there_are_cases() -> None:
    """The folder was found."""
    assert len(CASES) > 10


def _marked(lines: list[str], mark: str) -> list[str]:
    return [line[2:] for line in lines if line[:1] == mark]


def _joined(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)
