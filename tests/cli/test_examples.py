"""Every example at the end of a help text runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmcli.cli.app import COMMANDS, GROUPS
from tests.cli.program import PATIENCE, ROOT, Program

FROM_THE_NETWORK = {"models", "models pull", "models rm"}


def commands() -> list[str]:
    """Every command's words."""
    llmcli = Program(Path())
    found = list(COMMANDS)
    for group in GROUPS:
        listed = llmcli(group, "--help").text.partition("Commands:\n")[2].partition("\n\n")[0]
        found += [group, *(f"{group} {line.split()[0]}" for line in listed.splitlines())]
    return found


def examples(command: str) -> list[str]:
    """The command lines at the end of a command's help."""
    shown = Program(Path())(*command.split(), "--help").succeeded().text
    return [line.strip() for line in shown.partition("Examples:\n")[2].splitlines()]


@pytest.mark.parametrize("command", commands())
def test_examples_run(command: str, tmp_path: Path) -> None:
    """Three for each command, each of which works in a folder with the files that they name."""
    lines = examples(command)
    assert len(lines) == 3
    (tmp_path / "notes.txt").write_text("A token is a piece of text.\nA model reads tokens.\n")
    (tmp_path / "questions.txt").write_text("What is a token?\nAnd a model?\n")
    program = tmp_path / "bin" / "llmcli"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m llmcli "$@"\n')
    program.chmod(0o755)
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "home" / "config" / "config.toml").write_text("[engine]\nthreads = 1\n")
    environ = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LLMCLI_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
    }
    if command.startswith("sessions"):
        for name in ("old", "older", "oldest", "talk"):
            asked = ["chat", "--session", name, "-n", "1", "-p", "What is a token?"]
            subprocess.run([program, *asked], env=environ, check=True, stdin=subprocess.DEVNULL)
    for line in lines:
        assert re.search(r"\bllmcli\b", line)
        if command in FROM_THE_NETWORK:
            continue
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            env=environ,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr.decode())
        assert done.stdout or done.stderr or " -o " in line
