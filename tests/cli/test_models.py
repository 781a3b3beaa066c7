"""`llmcli models`: what is on this machine, and the names that -m takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from tests.cli.program import Program
from tests.cli.terminal import Terminal
from tests.stores.places import hub_model, ollama_model, place


@pytest.fixture
def stocked(tmp_path: Path, tiny_model: Path) -> Program:
    """llmcli in a home with three models, and a half download."""
    files = {"tiny-Q8_0.gguf": tiny_model, "tiny-Q4_0.gguf": tiny_model}
    hub_model(tmp_path / ".cache/huggingface/hub", "someone/tiny-GGUF", files)
    ollama_model(tmp_path / ".ollama/models", "registry.ollama.ai/library/small/1b", tiny_model)
    half = place(tmp_path / "data/models/half.gguf", tiny_model)
    half.unlink()
    half.write_bytes(tiny_model.read_bytes()[:-100])
    return Program(tmp_path)


class TestList:
    """`models list`."""

    def test_in_a_pipe(self, stocked: Program, tiny_model: Path) -> None:
        """A line a model, separated by tabs; the path is last."""
        rows = [line.split("\t") for line in stocked("models", "list").succeeded().text.splitlines()]
        assert [row[0] for row in rows] == [
            "tiny",
            "someone/tiny-GGUF:Q4_0",
            "someone/tiny-GGUF:Q8_0",
            "small:1b",
        ]
        *_, last = rows
        size = str(tiny_model.stat().st_size)
        assert last[1:6] == [size, "F32", "136128", "512", "ollama"]
        assert Path(last[6]).is_file()

    def test_json(self, stocked: Program) -> None:
        """The keys that programs rely on."""
        _, first, *_ = stocked("models", "list", "--json").succeeded().json
        path = first.pop("path")
        assert first.pop("files") == [path]
        assert first.pop("size") > 500_000
        assert first == {
            "name": "someone/tiny-GGUF:Q4_0",
            "quantization": "Q4_0",
            "architecture": "llama",
            "parameters": 136128,
            "size_label": None,
            "context_length": 512,
            "source": "huggingface",
        }
        jsonl = stocked("models", "list", "--format", "jsonl").succeeded().records
        assert [one["name"] for one in jsonl][-1] == "small:1b"

    def test_on_a_terminal(self, stocked: Program) -> None:
        """Columns with a head."""
        with Terminal(stocked, "models", "list") as terminal:
            terminal.ends()
            head, *rows = terminal.shown.splitlines()
        assert head.split() == ["name", "size", "quantization", "parameters", "context", "source"]
        assert rows[-1].split() == ["small:1b", "544", "KiB", "F32", "136K", "512", "ollama"]

    def test_debug_says_what_is_left_out(self, stocked: Program) -> None:
        """And without it nothing is said."""
        assert stocked("models", "list").succeeded().stderr == ""
        said = stocked("models", "list", "--debug").succeeded().stderr
        assert "half.gguf: the file ends 100 bytes early: a half download?" in said

    def test_names_can_t_drive_the_terminal(self, stocked: Program, tiny_model: Path) -> None:
        """Nor add a line to the list."""
        place(stocked.home / "data/models/a\x1b[31m\nb\tc.gguf", tiny_model)
        text = stocked("models", "list").succeeded().text
        assert r"a\x1b[31m\nb\tc" in text
        assert len(text.splitlines()) == 5

    def test_bad_format(self, stocked: Program) -> None:
        """A usage error names those that there are."""
        stocked("models", "list", "--format", "xml").failed(2, "must be one of table, tsv, json, jsonl")


class TestPath:
    """`models path`."""

    def test_a_part_of_a_name(self, stocked: Program) -> None:
        """The file's path and nothing else."""
        shown = stocked("models", "path", "gguf:q8").succeeded().text
        assert shown.endswith("/tiny-Q8_0.gguf\n")
        assert Path(shown.rstrip("\n")).is_file()

    def test_the_model_that_is_used(self, stocked: Program, tiny_model: Path) -> None:
        """Without a name: what -m, LLMCLI_MODEL and the default come to."""
        assert stocked("models", "path").succeeded().text.endswith("assets/tiny.gguf\n")
        env = {"LLMCLI_MODEL": "small"}
        assert "/blobs/sha256-" in stocked("models", "path", env=env).succeeded().text

    @pytest.mark.parametrize(
        ("ref", "words"),
        [
            ("someone", "'someone' fits 2 models: someone/tiny-GGUF:Q4_0, someone/tiny-GGUF:Q8_0"),
            ("nobody", "no model called 'nobody'"),
            ("a/../b", "a/../b: no such file"),
            ("/no.gguf", "/no.gguf: no such file"),
        ],
    )
    def test_none(self, stocked: Program, ref: str, words: str) -> None:
        """An ambiguous name, an unknown one, and a path to nothing."""
        stocked("models", "path", ref).failed(1, words)

    @pytest.mark.parametrize("command", [("count", "-m"), ("models", "show"), ("tokenize", "--tokenizer")])
    def test_a_name_that_no_file_can_have(self, stocked: Program, command: tuple[str, str]) -> None:
        """One that is too long for the system is as any other that nothing is called by."""
        ran = stocked(*command, "x" * 300, stdin=b"hi")
        assert ran.exit_status == 1 and "bug" not in ran.stderr
        ran = stocked(*command, "x" * 300 + ".gguf", stdin=b"hi").failed(1, "File name too long")

    def test_what_may_not_be_read(self, stocked: Program, tiny_model: Path) -> None:
        """A model in a folder that may not be entered says so; the others are found."""
        path = place(stocked.home / "data/models/locked/a.gguf", tiny_model)
        path.parent.chmod(0)
        manifests = stocked.home / ".ollama/models/manifests"
        manifests.chmod(0)
        if os.access(manifests, os.R_OK):
            pytest.skip("the superuser may read everything")
        stocked("count", "-m", path, stdin=b"hi").failed(1, "permission denied")
        said = stocked("models", "list", "--debug").succeeded().stderr
        for folder in (path.parent, manifests):
            assert f"{folder}: permission denied" in said
            folder.chmod(0o755)

    def test_an_empty_name(self, stocked: Program) -> None:
        """`"$MODEL"` with an unset variable is a usage error."""
        stocked("models", "path", "").failed(2, "no model named")


class TestShow:
    """`models show`."""

    def test_json(self, stocked: Program) -> None:
        """Everything the contract lists."""
        shown = stocked("models", "show", "small", "--json").succeeded().json
        assert shown["name"] == "small:1b"
        assert (shown["architecture"], shown["parameters"], shown["context_length"]) == ("llama", 136128, 512)
        assert shown["types"] == [{"type": "F32", "tensors": 21, "parameters": 136128, "bytes": 544512}]
        assert shown["bits_per_weight"] == 32
        assert (shown["block_count"], shown["head_count"], shown["head_count_kv"]) == (2, 2, 1)
        assert shown["vocabulary"] == {"model": "gpt2", "pre": "gpt-2", "size": 485}
        assert shown["special_tokens"]["eos"]["text"] == "<|im_end|>"
        assert "<|im_start|>" in shown["chat_template"]
        assert shown["metadata"]["tokenizer.ggml.tokens"] == {"array": 485}

    def test_as_text(self, stocked: Program) -> None:
        """The same for people."""
        text = stocked("models", "show", "small").succeeded().text
        for words in ("small:1b\n", "parameters       136,128 (136K)", "eos            482 <|im_end|>"):
            assert words in text

    def test_what_a_file_says_can_t_drive_the_terminal(self, stocked: Program, tiny_model: Path) -> None:
        """Metadata is made safe, in text and in JSON."""
        path = stocked.home / "evil.gguf"
        path.write_bytes(tiny_model.read_bytes().replace(b"\0tiny", b"\0t\x1b[m", 1))
        assert "name             t\\x1b[m" in stocked("models", "show", path).succeeded().text
        assert b"\x1b" not in stocked("models", "show", path, "--json").succeeded().stdout

    def test_figures_that_are_none(self, tmp_path: Path) -> None:
        """NaN has no place in JSON, and a state of less than nothing takes no memory."""
        path = tmp_path / "odd.gguf"
        out = gguf.GGUFWriter(path, "lfm2")
        out.add_float32("lfm2.context_length", float("nan"))
        out.add_embedding_length(64)
        out.add_tensor("blk.0.shortconv.conv.weight", np.ones((4, 32), dtype=np.float32))
        for write in (
            out.write_header_to_file,
            out.write_kv_data_to_file,
            out.write_tensors_to_file,
            out.close,
        ):
            write()
        shown = Program(tmp_path)("models", "show", path, "--json").succeeded().json
        assert shown["context_length"] is None
        assert shown["memory"]["state"] == 0

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
    @pytest.mark.parametrize("options", [["-c", "1024"], ["-c", "4096", "-fa", "off", "-ctk", "q8_0"]])
    def test_the_memory_in_use(self, stocked: Program, options: list[str]) -> None:
        """Within 10 % of the most that a chat takes whose window is full."""
        told = stocked("models", "show", "tiny", "--json", *options).succeeded().json["memory"]["resident"]
        text = b"the cat sat on the mat and " * 4096
        prompt = stocked("tokenize", "--truncate", str(int(options[1]) - 60), stdin=text).succeeded().stdout
        command = "import sys; from llmcli.cli.main import *; from llmcli.cli.console import Console; "
        command += "main(sys.argv[1:], Console.of_process()); print(open('/proc/self/status').read())"
        chat = ["chat", "-t", "1", "-n", "4", "--reserve", "4", *options]
        ran = subprocess.run(
            [sys.executable, "-c", command, *chat],
            input=prompt,
            env=stocked.environ(),
            capture_output=True,
            check=True,
        )
        taken = int(ran.stdout.decode().partition("VmHWM:")[2].split()[0]) * 1024
        assert told == pytest.approx(taken, rel=0.1)

    def test_no_model(self, stocked: Program) -> None:
        """A file that is none says why."""
        path = stocked.home / "text.gguf"
        path.write_text("hello")
        stocked("models", "show", path).failed(1, "not a GGUF file (it is text)")


class TestNames:
    """-m takes what the list shows."""

    def test_a_name_in_m(self, stocked: Program) -> None:
        """A whole name and a part of one, in the flag and in the environment."""
        expected = stocked("count", "-m", "someone/tiny-GGUF:Q8_0", stdin=b"hello").succeeded().text
        assert stocked("count", "-m", "q8", stdin=b"hello").text == expected
        assert stocked("count", stdin=b"hello", env={"LLMCLI_MODEL": "small"}).text == expected

    def test_an_unknown_name_suggests_to_pull(self, stocked: Program) -> None:
        """What looks like a name of the hub can be had."""
        ran = stocked("chat", "-p", "x", "-m", "owner/repo:Q4_K_M").failed(1, "no model called")
        assert "llmcli models pull owner/repo:Q4_K_M" in ran.hint

    def test_a_hub_name_that_climbs_is_a_path(self, stocked: Program) -> None:
        """`..` is in no name."""
        stocked("tokenize", "x", "-m", "../../etc/passwd:Q4").failed(1, "no such file")


def test_help(stocked: Program) -> None:
    """Without a command the group says what there is."""
    text = stocked("models").succeeded().text
    assert re.findall(r"^  (\w+) ", text.partition("Commands:\n")[2], re.M) == [
        *("list", "show", "pull", "path", "rm"),
    ]
