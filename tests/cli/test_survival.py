"""What once ended the process, lost output or printed nonsense, and must not again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.models import make_model


def test_a_model_without_a_vocabulary_is_refused(llmcli: Program, tmp_path: Path) -> None:
    """llama.cpp aborts at the first question about it."""
    path = make_model(tmp_path / "mute.gguf", tokenizer="no_vocab")
    llmcli.process("tokenize", "-m", path, "a").failed(1, "has no vocabulary")


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000,
        "\n".join(f"r{i} ::= r{i + 1}" for i in range(30_000)),
    ],
    ids=["nested", "chained"],
)
def test_a_grammar_that_would_overflow_the_stack_is_refused(llmcli: Program, grammar: str) -> None:
    """llama.cpp's parser recurses for each parenthesis and each rule."""
    (llmcli.home / "deep.gbnf").write_text(grammar)
    llmcli.process("chat", "-p", "a", "--grammar-file", "deep.gbnf").failed(2, "the grammar is too large")


def wait_for_a_thread(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has more than one thread, where the system tells; or for a second and a half."""
    threads = Path(f"/proc/{process.pid}/task")
    if threads.exists():
        while process.poll() is None and len(list(threads.iterdir())) < 2:
            time.sleep(0.01)
    else:
        time.sleep(1.5)


def test_ctrl_c_while_a_deep_text_is_tokenized(llmcli: Program, shared: Path) -> None:
    """The thread with the deep stack keeps what it reads; the program ends as at any Ctrl-C."""
    (llmcli.home / "deep.txt").write_bytes(b"a" * 4_000_000)
    vocabulary = shared / "vocabs" / "ggml-vocab-deepseek-coder.gguf"
    for delay in (0.0, 0.2, 0.4, 0.7):
        with llmcli.started("tokenize", "-m", vocabulary, "-f", "deep.txt") as running:
            wait_for_a_thread(running.process)
            time.sleep(delay)
            running.interrupt()
            ran = running.end()
            assert ran.exit_status in (0, 130), (ran.exit_status, ran.stderr)


@pytest.mark.parametrize("command", ["tokenize --lines", "vocab c"])
def test_where_no_thread_can_be_begun(llmcli: Program, command: str) -> None:
    """What needs no thread does without: here none finds room for its stack."""
    texts = b"c\nd\nc\n"
    limited = f'ulimit -Ss {1 << 36} || exit 77; exec "{sys.executable}" -m llmcli {command}'
    done = subprocess.run(
        ["bash", "-c", limited],
        input=texts,
        env=llmcli.environ(),
        cwd=llmcli.home,
        capture_output=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("the limit on stacks can't be raised here")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == llmcli(*command.split(), stdin=texts).succeeded().stdout


def test_unbuffered_output_is_whole_or_an_error(llmcli: Program) -> None:
    """A raw stream may take part of a write; what is left is written, or its failure is said."""
    (llmcli.home / "long.txt").write_bytes(b"a b " * 50_000)
    command = f'ulimit -f 40; "{sys.executable}" -u -m llmcli tokenize -f long.txt > out'
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {command}"],
        env=llmcli.environ(),
        cwd=llmcli.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: can't write to standard output" in done.stderr


@pytest.mark.parametrize("option", [("--temp", "1e-38"), ("--repeat-penalty", "1e-45")])
def test_numbers_too_small_for_32_bits_are_refused(llmcli: Program, option: tuple[str, str]) -> None:
    """They would make NaN of every probability."""
    llmcli("probs", "a", *option).failed(2, option[1])


def test_the_smallest_temperature_is_as_good_as_greedy(llmcli: Program) -> None:
    """All the probability is on the top token, and none of it is NaN."""
    top = llmcli("probs", "a", "--temp", "1e-6", "--json").succeeded().json["top"]
    assert top[0]["sampled_prob"] == pytest.approx(1.0)


def test_a_token_that_is_no_utf8(llmcli: Program) -> None:
    """It is shown as its bytes, not called a bug."""
    ran = llmcli.process("probs", "hi", "--token", b"a\xff").succeeded()
    assert r"a\xff is " in ran.text


@pytest.mark.parametrize("flag", ["--chat-template-kwargs", "--json-schema"])
def test_json_nested_too_deeply_is_a_usage_error(llmcli: Program, flag: str) -> None:
    """Python's parser gives up with a RecursionError."""
    llmcli("chat", "-p", "a", flag, "[" * 100_000).failed(2, "not JSON")


def test_a_window_beyond_all_memory_is_refused(llmcli: Program) -> None:
    """llama.cpp would reserve it and be killed page by page."""
    llmcli("chat", "-p", "a", "-c", "2000000000").failed(1, "does not fit into memory")


def test_a_split_model_s_first_file_may_hold_no_tensors(llmcli: Program, tmp_path: Path) -> None:
    """Then it is not mistaken for a vocabulary; llama.cpp looks for the other files."""
    import gguf

    path = tmp_path / "model-00001-of-00002.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint16("split.count", 2)
    writer.add_uint16("split.no", 0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    error = llmcli("probs", "a", "-m", path).failed(1).error
    assert "no weights" not in error


def test_penalties_on_more_tokens_than_there_can_be(llmcli: Program) -> None:
    """llama.cpp sets memory aside for each: 8 GB, and half a minute in which Ctrl-C does nothing."""
    options = ("--repeat-penalty", "1.1", "-n", "2", "--seed", "1", "--json")
    most, window = (
        llmcli("chat", "-p", "a", "--repeat-last-n", n, *options).succeeded().json for n in (2**31 - 1, -1)
    )
    assert most["message"] == window["message"]


@pytest.mark.parametrize("flag", ["--yarn-attn-factor", "--rope-freq-scale"])
def test_logits_that_are_no_numbers(llmcli: Program, flag: str) -> None:
    """Out of NaN llama.cpp draws a token as if it were a score."""
    ran = llmcli("chat", "-p", "a", flag, "3e38").failed(1, "NaN")
    assert "--rope" in ran.hint


def test_biases_that_add_up_to_infinity(llmcli: Program) -> None:
    """Infinity less infinity is no number."""
    llmcli("probs", "a", "--logit-bias", "5+3e38").failed(2, "a bias up to 1e+09")


@pytest.mark.parametrize("layers", [0, 100_000])
def test_a_file_that_llama_cpp_would_die_of(llmcli: Program, tmp_path: Path, layers: int) -> None:
    """Where a check inside llama.cpp fails it ends the process: with its reason even so, and exit code 1."""
    assert llmcli.model
    path = tmp_path / "wrong.gguf"
    before, key, after = llmcli.model.read_bytes().partition(b"llama.block_count\4\0\0\0")
    path.write_bytes(before + key + layers.to_bytes(4, "little") + after[4:])
    ran = llmcli.process("probs", "-m", path, "a").failed(1, "llama.cpp gave up: GGML_ASSERT(")
    assert "damaged" in ran.hint


def test_a_vocabulary_that_can_t_spell_every_byte(llmcli: Program, stories: Path, tmp_path: Path) -> None:
    """llama.cpp looks the byte's token up in a table, and ends the process where it is not there."""
    path = tmp_path / "mute.gguf"
    path.write_bytes(stories.read_bytes().replace(b"<0xED>", b"<0xZZ>"))
    llmcli.process("tokenize", "-m", path, "한").failed(1, "no token for the byte 0xed")
