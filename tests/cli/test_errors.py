"""Bad input: each gives one clear error, the right exit code, no traceback, no abort, and no output."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import ROOT, Program


def cut(model: Path, path: Path) -> None:
    """The first half of a model."""
    path.write_bytes(model.read_bytes()[: model.stat().st_size // 2])


def scramble(model: Path, path: Path) -> None:
    """Random bytes behind GGUF's magic and version."""
    path.write_bytes(model.read_bytes()[:8] + random.Random(2).randbytes(20000))


NO_MODELS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "missing": (lambda _, path: None, "no such file"),
    "directory": (lambda _, path: path.mkdir(), "is a directory"),
    "empty": (lambda _, path: path.touch(), "the file is empty"),
    "text": (lambda _, path: path.write_text("Once upon a time\n" * 100), "not a GGUF file"),
    "half": (cut, "bytes early: a half download?"),
    "random": (scramble, "no.gguf: "),
}


class TestNoModel:
    """A file that is no model, and no file at all."""

    @pytest.mark.parametrize(
        "command", [("tokenize", "x"), ("detokenize", "1"), ("probs", "x"), ("chat", "-p", "x")]
    )
    @pytest.mark.parametrize("kind", NO_MODELS)
    def test_a_file_that_is_no_model(self, llmcli: Program, kind: str, command: tuple[str, ...]) -> None:
        """Each command says what is wrong with the file, by name, and what to do."""
        make, words = NO_MODELS[kind]
        path = llmcli.home / "no.gguf"
        assert llmcli.model
        make(llmcli.model, path)
        ran = llmcli(*command, "-m", path).failed(1, words)
        assert str(path) in ran.error
        assert ran.hint and not ran.hint[0].isupper()

    def test_llama_cpp_s_own_reason(self, llmcli: Program, tmp_path: Path) -> None:
        """A sound file that llama.cpp refuses: its own words are repeated."""
        assert llmcli.model
        strange = tmp_path / "strange.gguf"
        strange.write_bytes(llmcli.model.read_bytes().replace(b"\0llama", b"\0lluma", 1))
        assert "unknown model architecture: 'lluma'" in llmcli("tokenize", "x", "-m", strange).failed(1).error

    def test_an_empty_name(self, llmcli: Program) -> None:
        """`-m "$MODEL"` with an unset variable is a usage error."""
        assert "tiny" in llmcli("tokenize", "x", "-m", "").failed(2, "no model named").hint

    def test_escape_sequences_in_a_file_name_are_shown(self, llmcli: Program) -> None:
        """An error can't drive the terminal either."""
        ran = llmcli.process("tokenize", "x", "-m", b"/\x1b[31m\xff.gguf").failed(1)
        assert ran.error.startswith(r"/\x1b[31m\xff.gguf: ")


class TestUsage:
    """What the command line can get wrong."""

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            (["--temp", "nan"], "--temp nan: must be 0 or a number from 1e-06 up"),
            (["--temp", "-1"], "--temp -1: must be 0 or a number from 1e-06 up"),
            (["--temp", "warm"], "--temp warm: must be 0 or a number from 1e-06 up"),
            (["--top-p", "2"], "--top-p 2: must be a number from 0 to 1"),
            (["--min-p", "inf"], "--min-p inf: must be a number from 0 to 1"),
            (["--top-k", "1.5"], "--top-k 1.5: must be a whole number from 0 up"),
            (["--repeat-penalty", "0"], "--repeat-penalty 0: must be a number from 1e-06 up"),
            (["-c", "-1"], "--ctx-size -1: must be a whole number from 0"),
            (["-b", "0"], "--batch-size 0: must be"),
            (["-t", "-3"], "--threads -3: must be"),
            (["-ngl", "some"], "--n-gpu-layers some: must be"),
            (["-ctk", "q9"], "--cache-type-k q9: must be one of"),
            (["-fa", "maybe"], "--flash-attn maybe: must be one of auto, on, off"),
            (["-s", "99999999999"], "--seed 99999999999: must be"),
            (["-n", "-2"], "--predict -2: must be"),
            (["--stop", ""], "--stop '': must not be empty"),
            (["--logit-bias", "5"], "--logit-bias 5: must be a token id and a bias"),
            (["--logit-bias", "99999+1"], "token id 99999 is not in the vocabulary"),
            (["--grammar", 'root ::= "a"{5,2}'], "--grammar: at least 5 and at most 2 times can't both be"),
            (["--grammar", "root ::= ("], "the grammar does not parse: expecting ')'"),
            (["--grammar", "tree ::= 'x'"], "the grammar does not parse"),
            (["--grammar", 'root ::= "\0"'], "the grammar does not parse"),
            (["-j", "{bad"], "--json-schema: not JSON"),
            (["-j", '{"type": "nope"}'], "--json-schema: no grammar can be made"),
            (["--color", "blue"], "'blue' is not one of auto, always, never"),
        ],
    )
    @pytest.mark.parametrize("command", [("chat", "-p", "x"), ("probs", "x")], ids=["chat", "probs"])
    def test_a_value_out_of_range(
        self, llmcli: Program, command: tuple[str, ...], option: list[str], words: str
    ) -> None:
        """The error names the flag, the value and the range, and the model is not asked anything."""
        llmcli(*command, *option).failed(2, words)

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["chat", "-p", "x", "--think", "loud"], "--think loud: must be one of show, hide, off"),
            (["chat", "-p", "x", "--json", "--jsonl"], "can't both be given"),
            (["chat", "-p", "x", "--turns", "-"], "can't both be given"),
            (["chat", "-p", "x", "-sys", "a", "-sysf", "b"], "can't both be given"),
            (["chat", "-p", "x", "--chat-template", "nope"], "is called 'nope'"),
            (["chat", "-p", "x", "--chat-template-kwargs", "{"], "--chat-template-kwargs: not JSON"),
            (["chat", "-p", "x", "--chat-template-kwargs", "[]"], "must be a JSON object"),
            (["chat"], "nothing to answer"),
            (["chat", "-p", ""], "nothing to answer"),
            (["tokenize", "--format", "xml", "x"], "--format xml: must be one of table, ids"),
            (["tokenize", "--bos", "x", "--nope"], "no such option: --nope"),
            (["tokenize", "--eos", "x", "-m"], "requires an argument"),
            (["probs", "x", "-k", "0"], "--top 0: must be a whole number from 1 up"),
            (["probs", "x", "-k", "ten"], "--top ten: must be a whole number"),
            (["probs", "x", "--format", "ids"], "--format ids: must be one of table, json"),
            (["probs", "x", "-f", "y"], "either a PROMPT or -f FILE"),
            (["probs", "x", "y"], "unexpected extra argument"),
            (["tokenise", "x"], "no such command 'tokenise'. Did you mean 'tokenize'"),
            (["--nope"], "no such option: --nope"),
            (["--color", "blue", "tokenize", "x"], "'blue' is not one of"),
        ],
    )
    def test_a_command_line_that_makes_no_sense(self, llmcli: Program, args: list[str], words: str) -> None:
        """Unknown commands, options and values, and options that exclude each other, have exit code 2."""
        llmcli(*args).failed(2, words)

    def test_an_unknown_option_s_hint_names_the_help(self, llmcli: Program) -> None:
        """The way on is the help of the very command."""
        assert llmcli("tokenize", "--nope").hint == "'llmcli tokenize --help' lists the options"


class TestIds:
    """What is no id of the vocabulary."""

    @pytest.mark.parametrize("ids", ["485", "-1", "1 2 99999", "[-1]", "9223372036854775808", "2147483648"])
    def test_an_id_out_of_range(self, llmcli: Program, ids: str) -> None:
        """The error names the id, or what could not be one; llama.cpp never sees it."""
        llmcli("detokenize", "--", ids).failed(2, "id")
        llmcli("detokenize", stdin=ids.encode()).failed(2, "id")

    @pytest.mark.parametrize("ids", [b"1 two", b"1.5", b"\xff", b"1\x002", "١".encode(), b"0x10"])
    def test_what_is_no_number(self, llmcli: Program, ids: bytes) -> None:
        """Words, fractions, bytes and other scripts' digits are no ids."""
        llmcli("detokenize", stdin=ids).failed(2, "not a token id: ")

    def test_range_in_the_hint(self, llmcli: Program) -> None:
        """The hint says which ids there are."""
        assert llmcli("detokenize", "485").failed(2).hint == "its ids run from 0 to 484"


class TestText:
    """Bytes that are no UTF-8, NUL, and surrogates."""

    def test_invalid_utf_8_in_an_argument_is_tokenized_as_it_came(self, llmcli: Program) -> None:
        """tokenize takes any bytes, in an argument as on stdin."""
        data = b"a\xff\xed\xa0\x80b"
        as_argument = llmcli.process("tokenize", data).succeeded()
        assert as_argument.stdout == llmcli("tokenize", stdin=data).stdout

    @pytest.mark.parametrize("data", [b"\0", b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b"", b"\xf0\x9f\x98"])
    def test_tokenize_takes_any_bytes_from_stdin(self, llmcli: Program, data: bytes) -> None:
        """NUL, broken UTF-8 and nothing at all are input like any other."""
        ran = llmcli("tokenize", "--json", stdin=data).succeeded()
        assert ran.json["n_bytes"] == len(data)
        llmcli("tokenize", "--format", "table", stdin=data).succeeded()

    def test_invalid_utf_8_in_chat(self, llmcli: Program) -> None:
        """A message from stdin or a file must be text; the error names the byte."""
        llmcli("chat", stdin=b"ab\xff").failed(1, "standard input: not UTF-8 at byte 2")
        path = llmcli.home / "bad.txt"
        path.write_bytes(b"\xff")
        for option in ("-f", "-sysf"):
            llmcli("chat", "-p", "x", option, path).failed(1, f"{path}: not UTF-8 at byte 0")
        llmcli("chat", "--turns", path).failed(1, f"{path}, line 1: not UTF-8 at byte 0")

    def test_a_lone_surrogate_in_a_turn(self, llmcli: Program) -> None:
        """JSON can spell half a character: refused, not tokenized as something else."""
        turn = rb'{"role": "user", "content": "a\ud800"}'
        llmcli("chat", "--turns", "-", stdin=turn).failed(1, "a message holds a lone surrogate (U+D800)")

    def test_invalid_utf_8_in_an_argument_of_chat(self, llmcli: Program) -> None:
        """It reaches the model as the bytes it is, and JSON shows U+FFFD for what is none."""
        ran = llmcli.process("chat", "-p", b"a\xff", "-n", "1", "--json").succeeded()
        assert ran.json["usage"]["prompt_tokens"] > 0
        ran = llmcli.process("probs", b"a\xff", "--json").succeeded()
        assert ran.json["prompt"] == "a�"

    def test_nul_and_special_tokens_in_a_message(self, llmcli: Program) -> None:
        """NUL is a character like any other to chat."""
        llmcli("chat", "-n", "1", stdin=b"a\0b").succeeded()

    @pytest.mark.parametrize(
        "line",
        [
            b'{"role": "assistant", "content": "x"}',
            b'{"role": "user"}',
            b'{"role": "user", "content": 3}',
            b'{"content": ',
            b'{"a":' * 50_000,
        ],
        ids=["assistant", "no content", "a number", "cut", "deep"],
    )
    def test_a_turn_that_is_no_user_message(self, llmcli: Program, line: bytes) -> None:
        """The error names the line."""
        llmcli("chat", "--turns", "-", stdin=b"\n\n" + line).failed(1, "standard input, line 3: ")

    def test_an_empty_prompt(self, llmcli: Program) -> None:
        """Without a BOS there is nothing that something could follow."""
        llmcli("probs", "").failed(1, "the prompt is empty")
        llmcli("probs", "x", "--token", "").failed(2, "--token is empty")

    @pytest.mark.parametrize("args", [["tokenize", "-f"], ["probs", "-f"], ["chat", "--turns"]])
    def test_an_input_file_that_is_not_there(self, llmcli: Program, args: list[str]) -> None:
        """Missing, or a directory: the error names the file and the reason."""
        llmcli(*args, llmcli.home / "none").failed(1, "none: No such file or directory")
        llmcli(*args, llmcli.home).failed(1, "Is a directory")
        llmcli(*args, "a\0b").failed(1, "null")


class TestDebug:
    """Tracebacks are for those who ask for them, and a bug is no reason for one."""

    @pytest.mark.parametrize("args", [["--debug", "tokenize", "x"], ["tokenize", "x", "--debug"]])
    def test_debug_shows_a_traceback(self, llmcli: Program, args: list[str]) -> None:
        """Before or after the command's name; the error line is still there."""
        ran = llmcli(*args, "-m", "/none")
        assert ran.exit_status == 1
        assert "Traceback" in ran.stderr
        assert "error: /none: no such file\n" in ran.stderr

    def test_debug_shows_what_llama_cpp_says(self, llmcli: Program) -> None:
        """The whole log of loading goes to stderr, the answer alone to stdout."""
        ran = llmcli("tokenize", "hi", "--debug")
        assert "llama_model_loader" in ran.stderr
        assert ran.stdout == llmcli("tokenize", "hi").stdout

    def test_a_bug_becomes_a_message(self, llmcli: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exception that nobody foresaw is an error line that says so; --debug shows where it was."""

        def broken(*_: object) -> None:
            raise ZeroDivisionError("7 / 0")

        monkeypatch.setattr("llmcli.cli.tokenize.sources", broken)
        ran = llmcli("tokenize", "x").failed(1, "unexpected ZeroDivisionError: 7 / 0")
        assert "bug" in ran.hint
        assert "in broken" in llmcli("tokenize", "x", "--debug").stderr


def test_a_package_that_can_t_be_imported(llmcli: Program, tmp_path: Path) -> None:
    """It is said once, by the one who needs it, though it was imported while the model was loaded."""
    package = tmp_path / "jinja2"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('out of order')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    llmcli.process("chat", "-p", "hi", env={"PYTHONPATH": path}).failed(1, "unexpected ")


def test_llama_cpp_that_is_not_there(llmcli: Program, tmp_path: Path) -> None:
    """The library that LLAMA_CPP_LIB_PATH promises is no bug of llmcli where it is missing."""
    ran = llmcli.process("count", shell=f'LLAMA_CPP_LIB_PATH={tmp_path} "$@" </dev/null')
    ran.failed(1, "llama.cpp can't be loaded")
    assert str(tmp_path) in ran.hint


def test_llama_cpp_that_is_broken(llmcli: Program, tmp_path: Path) -> None:
    """The hint says how to install it anew."""
    package = tmp_path / "llama_cpp"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "llama_cpp.py").write_text("raise OSError('no such library')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ran = llmcli.process("count", env={"PYTHONPATH": path}).failed(1, "can't be loaded: no such library")
    assert ran.hint.endswith("pip install --force-reinstall --no-deps llama-cpp-python")
