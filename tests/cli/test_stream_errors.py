"""Streams and models that fail: an error or a quiet end, never silence or a traceback."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from llmcli.tokens.pieces import byte_characters
from tests.cli.program import Program


class TestStreams:
    """Standard streams that are closed, full, or that nobody reads."""

    @pytest.mark.parametrize("args", [["tokenize", "x"], ["probs", "x"], ["chat", "-p", "x"], ["--help"]])
    def test_closed_stdout(self, llmcli: Program, args: list[str]) -> None:
        """Output that can't go anywhere is an error, not silence."""
        llmcli.process(*args, shell='"$@" >&-').failed(1, "can't write to standard output: it is closed")

    @pytest.mark.parametrize(
        "args",
        [
            ["tokenize", "x"],
            ["tokenize", "--format", "table", "x"],
            ["probs", "x"],
            ["chat", "-p", "x", "-n", "5"],
            ["chat", "-p", "x", "-n", "5", "--jsonl"],
            ["--help"],
        ],
    )
    def test_a_full_disk(self, llmcli: Program, args: list[str]) -> None:
        """The reason is named, and the exit code says that the answer is not there."""
        llmcli.process(*args, shell='"$@" >/dev/full').failed(1, "standard output: No space left on device")

    @pytest.mark.parametrize(
        "args", [["tokenize"], ["detokenize"], ["probs"], ["chat", "--turns", "-"], ["tokenize", "-f", "-"]]
    )
    def test_closed_stdin(self, llmcli: Program, args: list[str]) -> None:
        """Where stdin was to be read, its absence is an error."""
        llmcli.process(*args, shell='"$@" <&-').failed(1, "standard input is closed")

    def test_closed_stdin_that_is_not_needed(self, llmcli: Program) -> None:
        """A message is enough; without one there is nothing to answer."""
        llmcli.process("chat", "-p", "x", "-n", "1", shell='"$@" <&-').succeeded()
        llmcli.process("chat", shell='"$@" <&-').failed(2, "nothing to answer")

    def test_closed_stderr(self, llmcli: Program) -> None:
        """Nothing can be said; the answer and the exit code are as always."""
        ran = llmcli.process("chat", "-p", "x", "--grammar", 'root ::= "yes"', "--stats", shell='"$@" 2>&-')
        assert (ran.exit_status, ran.stdout) == (0, b"yes\n")
        ran = llmcli.process("tokenize", "--nope", shell='"$@" 2>&-')
        assert (ran.exit_status, ran.stdout, ran.stderr) == (2, b"", "")

    def test_all_closed(self, llmcli: Program) -> None:
        """Without any stream there is only the exit code."""
        assert llmcli.process("tokenize", "x", shell='"$@" <&- >&- 2>&-').exit_status == 1

    @pytest.mark.parametrize(
        "args",
        [
            ["tokenize", "--format", "lines", "-f", "long.txt"],
            ["probs", "x", "-k", "400", "--json"],
            ["chat", "-p", "x", "--jsonl", "-n", "400"],
            ["chat", "--turns", "turns.txt", "-n", "20"],
            ["--help"],
        ],
    )
    def test_a_reader_that_leaves(self, llmcli: Program, args: list[str]) -> None:
        """`llmcli ... | head -c 1` ends quietly: exit code 0, nothing on stderr."""
        (llmcli.home / "long.txt").write_bytes(b"the quick brown fox " * 20_000)
        (llmcli.home / "turns.txt").write_bytes(b"a\n" * 10)
        ran = llmcli.process("-q", *args, shell='"$@" | head -c 1')
        assert (ran.exit_status, len(ran.stdout), ran.stderr) == (0, 1, "")


@pytest.mark.parametrize("args", [["count"], ["tokenize", "--lines", "-f"]], ids=["count", "lines"])
def test_a_model_that_is_refused(llmcli: Program, tmp_path: Path, args: list[str]) -> None:
    """One clear error, whatever was begun for so long a text."""
    tokens = [*byte_characters(), "aa", "aa"]
    out = gguf.GGUFWriter(tmp_path / "twice.gguf", "llama")
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_merges(["a a"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.close()
    (tmp_path / "long.txt").write_bytes(b"the dog " * 200_000)
    ran = llmcli.process(*args, tmp_path / "long.txt", "-m", tmp_path / "twice.gguf")
    assert "has the token 'aa' twice" in ran.failed(1).error
