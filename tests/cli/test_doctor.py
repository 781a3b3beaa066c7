"""`llmcli doctor` tells all that somebody who helps has to know, and never fails at it."""

from __future__ import annotations

import os

import pytest

from llmcli import __version__
from llmcli.engine.processors import usable_processors
from tests.cli.program import ROOT, Program


def test_what_it_tells(llmcli: Program) -> None:
    """Versions, the build and its features, threads, memory, folders, the model."""
    found = llmcli("doctor", "--json").succeeded().json
    assert found["llmcli"] == __version__
    assert found["packages"]["llama-cpp-python"] == found["llama_cpp"]["version"]
    assert found["packages"]["tokenizers"]
    assert found["llama_cpp"]["features"]["CPU"]
    assert [device["kind"] for device in found["llama_cpp"]["devices"]][-1] == "CPU"
    assert found["threads"]["usable"] == usable_processors()
    assert 0 < found["memory"]["available"] <= found["memory"]["total"]
    assert found["folders"]["state"]["path"] == str(llmcli.home / "state")
    assert found["model"] == {
        "path": str(llmcli.model),
        "from": "LLMCLI_MODEL",
        "size": llmcli.model.stat().st_size if llmcli.model else 0,
    }
    assert found["problems"] == []


def test_secrets_are_not_shown(llmcli: Program) -> None:
    """Of the environment, names alone."""
    environ = {"HF_TOKEN": "hf_Hush", "HF_ENDPOINT": "https://user:Hush@example.org"}
    for args in (["doctor"], ["doctor", "--json"]):
        text = llmcli(*args, env=environ).succeeded().text
        assert "HF_TOKEN" in text
        assert "Hush" not in text


def test_what_is_wrong_is_told_and_stops_nothing(llmcli: Program) -> None:
    """A broken config file, a model and a library that are not there."""
    file = llmcli.home / "config" / "config.toml"
    file.parent.mkdir()
    file.write_text("temp = 1\n")
    environ = {"LLMCLI_MODEL": "no\x1bwhere.gguf", "LLAMA_CPP_LIB_PATH": str(llmcli.home)}
    ran = llmcli.process("doctor", env=environ).succeeded()
    problems = [line for line in ran.text.splitlines() if line.startswith("PROBLEM")]
    assert len(problems) == 3
    for words in ("line 1: temp: there is no such setting", "where.gguf", "llama.cpp can't be loaded: "):
        assert words in ran.text
    assert "EngineError" not in ran.text
    assert "\x1b" not in ran.text
    file.unlink()
    file.mkdir()
    assert "is a folder" in llmcli("doctor", "--json").succeeded().json["problems"][0]


def test_a_build_for_another_processor(llmcli: Program) -> None:
    """One that ends the process at an instruction that the processor lacks is named as that."""
    fake = llmcli.home / "llama_cpp"
    fake.mkdir()
    (fake / "__init__.py").touch()
    (fake / "llama_cpp.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    ran = llmcli.process("doctor", env={"PYTHONPATH": os.pathsep.join([str(llmcli.home), str(ROOT)])})
    assert "instructions that the processor does not have" in ran.succeeded().text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights(llmcli: Program) -> None:
    """Is a problem."""
    llmcli.home.chmod(0o500)
    problems = llmcli("doctor", "--json").succeeded().json["problems"]
    llmcli.home.chmod(0o700)
    assert any("can't be written" in problem for problem in problems)
