"""Completion in real shells: what a person sees who presses Tab."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.cli.program import PATIENCE, ROOT

COMPLETIONS = ROOT / "completions"
START = {
    "bash": (["--norc", "--noprofile", "-i"], "PS1='> '; source {}/llmcli.bash"),
    "zsh": (["-f", "-i"], "PS1='> '; autoload -U compinit; compinit -u -D; source {}/_llmcli"),
    "fish": (["--no-config", "-i"], "function fish_prompt; echo '> '; end; source {}/llmcli.fish"),
}


class Shell:
    """A shell on a terminal, with llmcli's completion and some files."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.screen = pyte.Screen(200, 60)
        self.stream = pyte.ByteStream(self.screen)
        program = folder / "bin" / "llmcli"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m llmcli "$@"\n')
        program.chmod(0o755)
        (folder / "config").mkdir()
        (folder / "config" / "config.toml").write_text(
            '[aliases]\n"small:1b" = "tiny"\n"two words" = "tiny"\n"$(touch ran)" = "tiny"\n'
        )
        (folder / "models").mkdir()
        (folder / "models" / "weights.gguf").touch()
        (folder / "questions.txt").touch()
        arguments, setup = START[name]
        environ = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LLMCLI_HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }
        self.child = pexpect.spawn(name, arguments, env=environ, cwd=str(folder), dimensions=(60, 200))
        self.child.delaybeforesend = None
        self.child.send(setup.format(COMPLETIONS) + "; echo rea''dy\r")
        self.sees("ready\n")

    def sees(self, text: str) -> None:
        """Wait until the text is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, f"waited in vain for {text!r}; on the screen:\n{self.shown}"
            with suppress(pexpect.TIMEOUT):
                self.stream.feed(self.child.read_nonblocking(65536, 0.2))

    @property
    def shown(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def completes(self, typed: str, expected: str) -> None:
        """Type on an empty line, press Tab, and see the line become, or a list show, what is expected."""
        self.child.send("\x15\x0c")
        time.sleep(0.1)
        self.child.send(f"{typed}\t")
        self.sees(expected)


@pytest.fixture(params=START)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Each shell that is installed."""
    if shutil.which(request.param) is None:
        pytest.skip(f"needs {request.param}")
    shell = Shell(request.param, tmp_path)
    yield shell
    shell.child.close(force=True)


def test_what_tab_does(shell: Shell) -> None:
    """Commands and those below them, options, their values, files, models, settings."""
    for typed, expected in [
        ("llmcli tokeni", "llmcli tokenize"),
        ("llmcli config unse", "llmcli config unset"),
        ("llmcli chat --no-sa", "llmcli chat --no-save"),
        ("llmcli --quiet chat --flash-at", "llmcli --quiet chat --flash-attn"),
        ("llmcli chat --think hi", "llmcli chat --think hide"),
        ("llmcli probs -ctk q8", "llmcli probs -ctk q8_0"),
        ("llmcli chat --chat-template chatm", "llmcli chat --chat-template chatml"),
        ("llmcli chat -m ti", "llmcli chat -m tiny"),
        ("llmcli chat -m sma", "llmcli chat -m small:1b"),
        ("llmcli chat -m models/we", "llmcli chat -m models/weights.gguf"),
        ("llmcli count ques", "llmcli count questions.txt"),
        ("llmcli chat --turns ques", "llmcli chat --turns questions.txt"),
        ("llmcli config set sampling.repeat-p", "llmcli config set sampling.repeat-penalty"),
    ]:
        shell.completes(typed, expected)


def test_a_name_that_means_something_to_a_shell(shell: Shell) -> None:
    """It is completed as one word, and what stands in it is not run: a file's name may come from anybody."""
    shell.completes("llmcli chat -m two", "llmcli chat -m two\\ words")
    shell.completes("llmcli chat -m two\\ w", "llmcli chat -m two\\ words")
    shell.completes("llmcli chat -m \\$", "llmcli chat -m \\$\\(touch\\ ran\\)")
    shell.completes("llmcli chat -m ", "touch")
    assert not list(shell.folder.rglob("ran"))


def test_the_scripts_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what completions/generate.py writes now."""
    spec = importlib.util.spec_from_file_location("completions_generate", COMPLETIONS / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "completions_generate", generate)
    spec.loader.exec_module(generate)
    for name, text in generate.scripts().items():
        assert (COMPLETIONS / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("kind", ["models", "sessions", "settings", "nothing"])
def test_names_are_never_an_error(kind: str, tmp_path: Path) -> None:
    """A shell gets names or none; a name that would drive the terminal is left out."""
    from llmcli.cli.names import listed

    environ = {"LLMCLI_HOME": str(tmp_path), "HOME": str(tmp_path)}
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    config.write_text('[aliases]\n"a\\u001b[31m" = "x"\nb = "y"\n')
    names = listed(kind, environ).splitlines()
    assert not any("\x1b" in name for name in names)
    if kind == "models":
        assert sorted(names) == ["b", "tiny"]
    config.write_text("temp = \n")
    assert listed(kind, environ) in ("", listed(kind, {"LLMCLI_HOME": str(tmp_path / "none")}))
