"""`llmcli config`, and what the settings do to the commands."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from tests.cli.program import ROOT, Program


def file_of(llmcli: Program) -> Path:
    """The config file, where `config path` says it is."""
    return Path(llmcli("config", "path").succeeded().text.removesuffix("\n"))


def test_set_show_unset(llmcli: Program) -> None:
    """What is set is shown, with its place, and is gone again when taken out."""
    llmcli("config", "set", "sampling.temp", "0.25").succeeded()
    llmcli("config", "set", "sampling.predict", "-1").succeeded()
    assert file_of(llmcli).read_text() == "[sampling]\ntemp = 0.25\npredict = -1\n"
    shown = {one["key"]: one for one in llmcli("config", "show", "--json").succeeded().json["settings"]}
    assert shown["sampling.temp"] == {"key": "sampling.temp", "value": 0.25, "source": "file", "line": 2}
    assert shown["model"]["source"] == "LLMCLI_MODEL"
    assert shown["sampling.top-k"] == {
        "key": "sampling.top-k",
        "value": 40,
        "source": "default",
        "line": None,
    }
    llmcli("config", "unset", "sampling.temp").succeeded()
    assert "not set" in llmcli("config", "unset", "sampling.temp").succeeded().stderr
    assert file_of(llmcli).read_text() == "[sampling]\npredict = -1\n"


def test_what_show_prints_is_a_config_file(llmcli: Program) -> None:
    """In a pipe it is TOML that says the same."""
    for key, value in [("engine.lora", "a:0.5"), ("aliases.a b", "c"), ("sampling.top-p", "0.5")]:
        llmcli("config", "set", key, value).succeeded()
    shown = llmcli("config", "show").succeeded().text
    file_of(llmcli).write_text(shown)
    assert llmcli("config", "show").succeeded().text == shown
    table = llmcli("config", "show", "--format", "table").succeeded().text
    assert "sampling.top-k" in table
    assert "line 2" not in shown


def test_the_settings_hold_where_no_flag_is_given(llmcli: Program) -> None:
    """A flag comes before them."""
    llmcli("config", "set", "sampling.temp", "0").succeeded()
    llmcli("config", "set", "engine.ctx-size", "256").succeeded()
    shown = llmcli("probs", "a", "--json").succeeded().json
    assert shown["sampling"]["temp"] == 0
    assert llmcli("probs", "a", "--json", "--temp", "2").succeeded().json["sampling"]["temp"] == 2
    reply = llmcli("chat", "-p", "a", "-n", "1", "--json").succeeded()
    assert reply.json["context"]["size"] == 256
    llmcli("config", "set", "chat.stats", "true").succeeded()
    assert "tokens/s" in llmcli("chat", "-p", "a", "-n", "1").succeeded().stderr


def test_the_model_of_the_file(tmp_path: Path, tiny_model: Path) -> None:
    """An alias stands for it; LLMCLI_MODEL and the flag come before; a file or `tiny` before an alias."""
    llmcli = Program(tmp_path)
    llmcli("config", "set", "aliases.mine", tiny_model).succeeded()
    llmcli("config", "set", "aliases.tiny", "nowhere.gguf").succeeded()
    llmcli("config", "set", "model", "mine").succeeded()
    assert "512" in str(llmcli("chat", "-p", "a", "-n", "1", "--json").succeeded().json["context"]["size"])
    assert llmcli("count", "--json", stdin=b"a").json["model"] == "tiny.gguf"
    assert llmcli("count", "-m", "tiny", "--json", stdin=b"a").succeeded()
    llmcli("count", stdin=b"a", env={"LLMCLI_MODEL": "nowhere.gguf"}).failed(1, "nowhere.gguf")


def test_a_mistake_stops_every_command_that_needs_it(llmcli: Program) -> None:
    """With its line and key; `config path` and `--help` still work, and the file stays as it is."""
    llmcli("config", "set", "sampling.temp", "1").succeeded()
    text = "[sampling]\ntemp = 1\ntop-k = -3\n"
    file_of(llmcli).write_text(text)
    for command in (["chat", "-p", "a"], ["probs", "a"], ["count"], ["config", "show"]):
        llmcli(*command).failed(2, "config.toml, line 3: sampling.top-k: must be a whole number from 0 up")
    llmcli("chat", "--help").succeeded()
    llmcli("config", "set", "sampling.top-k", "3").succeeded()
    assert file_of(llmcli).read_text() == text.replace("-3", "3")


def test_a_file_that_can_t_be_read_or_written(llmcli: Program) -> None:
    """A folder in its place, or no right to it, is an error that names it."""
    file = file_of(llmcli)
    file.mkdir(parents=True)
    llmcli("config", "show").failed(1, "the config file is a folder")
    llmcli("config", "set", "sampling.temp", "1").failed(1, "the config file is a folder")
    file.rmdir()
    if os.geteuid():
        file.write_text("")
        file.chmod(0)
        llmcli("config", "show").failed(1, "can't read the config file")
        file.chmod(0o600)
        file.parent.chmod(0o500)
        llmcli("config", "set", "sampling.temp", "1").failed(1, "can't write")
        file.parent.chmod(0o700)
    blocked = llmcli.home / "file"
    blocked.write_text("")
    llmcli("config", "set", "sampling.temp", "1", env={"LLMCLI_HOME": str(blocked / "x")}).failed(1)


def test_a_link_stays_one(llmcli: Program) -> None:
    """A config file kept elsewhere is changed where it is, with its permissions."""
    file, elsewhere = file_of(llmcli), llmcli.home / "dotfiles.toml"
    elsewhere.write_text("# mine\n")
    elsewhere.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(elsewhere)
    llmcli("config", "set", "model", "tiny").succeeded()
    assert file.is_symlink()
    assert "# mine" in elsewhere.read_text()
    assert elsewhere.stat().st_mode & 0o777 == 0o640


def test_the_documentation_is_fresh() -> None:
    """docs/settings.md has every setting as it is now."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = generate.FILE.read_text(encoding="utf-8")
    assert generate.fresh(page) == page
