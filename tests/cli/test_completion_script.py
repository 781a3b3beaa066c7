"""llmcli prints the completion scripts that ship with it."""

from __future__ import annotations

import pytest

from tests.cli.program import ROOT, Program


@pytest.mark.parametrize("name", ["llmcli.bash", "_llmcli", "llmcli.fish"])
def test_the_program_prints_them(llmcli: Program, name: str) -> None:
    """So that who has no clone has them, too."""
    shell = {"_llmcli": "zsh"}.get(name, name.rpartition(".")[2])
    script = (ROOT / "completions" / name).read_text(encoding="utf-8")
    assert llmcli("--show-completion", shell).succeeded().text == script


def test_a_shell_that_has_none(llmcli: Program) -> None:
    """Is refused with those that have."""
    llmcli("--show-completion", "csh").failed(2, "'csh' is not one of bash, zsh, fish")
