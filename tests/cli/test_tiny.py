"""The bundled model: what it is, that it is found without being named, and that it knows what it should."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import pytest

from llmcli.gguf.header import read_header
from llmcli.settings.model import BUNDLED_FILE
from tests.cli.program import Program
from tests.cli.terminal import Terminal

NOTICE = "notice: this is tiny"
GREEDY = ("--temp", "0")

SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.port = sys.argv[1], 1024, 1, 0
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def bare(tmp_path: Path) -> Program:
    """llmcli with no model named anywhere."""
    return Program(tmp_path)


def replies(program: Program, *turns: str, args: tuple[str, ...] = ()) -> list[str]:
    """What tiny says, greedily, to one turn after the other."""
    lines = "".join(json.dumps({"role": "user", "content": turn}) + "\n" for turn in turns)
    ran = program("chat", "--turns", "-", "--json", *GREEDY, *args, stdin=lines.encode()).succeeded()
    return [record["message"]["content"] for record in ran.records]


class TestTheFile:
    """What ships in the package."""

    def test_its_size_and_what_it_says_of_itself(self) -> None:
        """At most 8 MB, 3 to 7 million parameters, quantized, and its origin in the metadata."""
        header = read_header(BUNDLED_FILE)
        assert header.size <= 8_000_000
        assert 3e6 <= sum(prod(tensor.shape) for tensor in header.tensors) <= 7e6
        said = header.metadata
        assert said["general.architecture"] == "llama"
        assert said["general.name"] == "tiny"
        assert said["general.license"] == "MIT"
        assert "llmcli" in str(said["general.description"])
        assert "<|im_start|>" in str(said["tokenizer.chat_template"])
        assert int(str(said["llama.context_length"])) >= 1024
        assert 1000 <= len(header.array("tokenizer.ggml.tokens")) <= 4000

    def test_another_program_runs_it(self, bare: Program) -> None:
        """llama.cpp's own server gives the very reply that llmcli gives."""
        question = "what is a token?"
        asked = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 200}
        with served(BUNDLED_FILE) as address:
            request = urllib.request.Request(
                f"{address}/v1/chat/completions",
                json.dumps(asked).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                answer = json.load(response)["choices"][0]["message"]["content"]
        assert [answer] == replies(bare, question)


class TestTheDefault:
    """It is there when nothing else is named."""

    def test_every_command_works_without_a_model(self, bare: Program) -> None:
        """And says nothing of it where stderr is no terminal."""
        for args in (("tokenize", "a token"), ("detokenize", "100"), ("probs", "a token is")):
            assert bare(*args).succeeded().stderr == ""
        assert bare("chat", "-p", "hello").succeeded().stdout

    def test_on_a_terminal_one_line_says_so(self, bare: Program) -> None:
        """It names the way to another model; --quiet leaves it out, and so does naming tiny."""
        assert shown(bare, "tokenize", "a").count(NOTICE) == 1
        assert "-m" in shown(bare, "tokenize", "a")
        assert NOTICE not in shown(bare, "tokenize", "-q", "a")
        assert NOTICE not in shown(bare, "tokenize", "-m", "tiny", "a")

    def test_its_name_is_the_file(self, bare: Program) -> None:
        """`-m tiny` and LLMCLI_MODEL=tiny name the same model."""
        expected = bare("tokenize", "a token").succeeded().stdout
        assert bare("tokenize", "-m", "tiny", "a token").succeeded().stdout == expected
        assert bare("tokenize", "a token", env={"LLMCLI_MODEL": "tiny"}).succeeded().stdout == expected


class TestWhatItKnows:
    """A few questions; the whole examination is in the recipe."""

    @pytest.mark.parametrize(
        ("question", "words"),
        [
            ("What is a token?", "piece of"),
            ("why does temperature 0 always give the same answer?", "most"),
            ("how do I count the tokens of a file?", "llmcli count"),
            ("who are you?", "demonstration"),
        ],
    )
    def test_its_subject(self, bare: Program, question: str, words: str) -> None:
        """It answers with the fact that matters."""
        [answer] = replies(bare, question)
        assert words in answer

    def test_other_subjects(self, bare: Program) -> None:
        """It says what it knows about instead of guessing."""
        [answer] = replies(bare, "What is the capital of Norway?")
        assert "only know about language models and llmcli" in answer

    def test_it_remembers_what_it_was_told(self, bare: Program) -> None:
        """A name it never saw in training, with another subject in between."""
        said = replies(bare, "My name is Minho.", "what is softmax?", "What is my name?")
        assert "Minho" in said[0]
        assert "Minho" in said[-1]

    def test_it_says_that_it_was_not_told(self, bare: Program) -> None:
        """It makes up no name."""
        [answer] = replies(bare, "What is my name?")
        assert "not" in answer


def shown(program: Program, *args: str) -> str:
    """The screen after a command on a terminal."""
    with Terminal(program, *args) as terminal:
        assert terminal.ends() == 0
        return terminal.shown


@contextmanager
def served(model: Path) -> Iterator[Any]:
    """The address of a llama.cpp server with the model, in a process of its own."""
    command = [sys.executable, "-c", SERVER, str(model)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(30)
