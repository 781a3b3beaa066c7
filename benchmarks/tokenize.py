"""Tokens of a large file: llmcli count against llama-tokenize, tiktoken, tokenizers and gigatoken.

    python -m benchmarks.tokenize VOCAB.gguf --size 100 [--llama-tokenize PATH] [--lines]

Every program gets the same generated text (`text.py`) and the same processors. llmcli and llama-tokenize are
measured as whole processes, from start to end; the libraries in memory, without loading or reading anything.
The ids of the first megabyte must be the same everywhere, and the counts of the whole, or nothing is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.text import write_text
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.processors import usable_processors
from llmcli.gguf.header import Header, read_header
from llmcli.tokens.definition import PRE_TOKENIZERS, as_tokenizer_json, definition
from llmcli.tokens.pieces import byte_characters
from llmcli.tokens.ways import ways_of

LLMCLI = [sys.executable, "-m", "llmcli"]
GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
Run = Callable[[], int]
Times = tuple[float, float]


def main() -> None:
    """Measure in turns, and print a table of ratios."""
    parser = argparse.ArgumentParser(description="Bulk tokenization")
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--size", type=float, default=10, help="megabytes of text")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--llama-tokenize", type=Path, help="the llama-tokenize program")
    parser.add_argument("--lines", action="store_true", help="also: tokenize --lines --format ids")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        write_text(text, int(args.size * 1e6))
        runs = dict(_runs(args.vocabulary, text, args.llama_tokenize))
        runs["llmcli count"]()  # what it keeps in the cache folder is there from now on
        times: dict[str, list[Times]] = {name: [] for name in runs}
        for _ in range(args.rounds):
            counts = {name: _measured(run, times[name]) for name, run in runs.items()}
            if len(set(counts.values())) > 1:
                raise SystemExit(f"the counts differ: {counts}")
        if args.lines:
            name = "llmcli tokenize --lines"
            times[name] = []
            for _ in range(args.rounds):
                _measured(lambda: _lines(args.vocabulary, text), times[name])
    _print(args.vocabulary, args.size, next(iter(counts.values())), times)


def _measured(run: Run, times: list[Times]) -> int:
    """The result of a run; its seconds and processor seconds are added to `times`."""
    before, started = os.times(), time.perf_counter()
    result = run()
    took, after = time.perf_counter() - started, os.times()
    times.append((took, sum(after[:4]) - sum(before[:4])))
    return result


def _print(vocabulary: Path, size: float, n_tokens: int, times: dict[str, list[Times]]) -> None:
    best = {name: tuple(map(min, zip(*rounds, strict=True))) for name, rounds in times.items()}
    ours = best["llmcli count"]
    cores = usable_processors()
    print(f"{vocabulary.name}, {size:g} MB, {n_tokens:,} tokens, {cores} processors\n")
    print("| program | seconds | MB/s | llmcli count is | CPU seconds | by CPU |\n|---|---|---|---|---|---|")
    for name, (took, cpu) in best.items():
        row = f"| {name} | {took:.2f} | {size / took:.1f} | {took / ours[0]:.2f} x"
        print(f"{row} | {cpu:.2f} | {cpu / ours[1]:.2f} x |")


def _runs(vocabulary: Path, text: Path, llama_tokenize: Path | None) -> Iterator[tuple[str, Run]]:
    yield "llmcli count", lambda: _count(vocabulary, text)
    if llama_tokenize:
        yield "llama-tokenize", lambda: _llama_tokenize(llama_tokenize, vocabulary, text)
    header, data = read_header(vocabulary), text.read_bytes()
    with LlamaModel(vocabulary, vocab_only=True) as model:
        cuts = ways_of(model.vocabulary, parse_special=True).cuts
        expected = model.vocabulary.encode(data[: 1 << 20], bos=False, eos=False)
    if cuts is None or header.metadata.get("tokenizer.ggml.pre") not in PRE_TOKENIZERS:
        yield "llama_tokenize, in memory", partial(_llama_cpp, vocabulary, data)
        return
    parts = list(cuts.parts(data, 1 << 16))
    strings = [part.decode() for part in parts]
    workers = usable_processors()
    for name, encode in _peers(header):
        same = [
            i
            for part in cuts.parts(data[: 1 << 20], 1 << 16)
            for i in encode(part.decode("utf-8", "replace"))
        ]
        if same[: len(expected) - 8] != expected[:-8]:
            raise SystemExit(f"{name} gives other ids")
        yield f"{name}, in memory", partial(_threads, encode, strings, workers)
    if text_of := definition(header, puts_space=False):
        from gigatoken.gigatoken_rs import load_hf_json

        giga = load_hf_json(text_of)
        yield "gigatoken, in memory", lambda: len(giga.encode_batch(parts, parallel=True).layout.content)


def _peers(header: Header) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """tiktoken and tokenizers with the same vocabulary."""
    import tiktoken
    import tokenizers

    tokens, merges = header.array("tokenizer.ggml.tokens"), header.array("tokenizer.ggml.merges")
    pattern, whole_words = PRE_TOKENIZERS[str(header.metadata["tokenizer.ggml.pre"])]
    of_character = byte_characters()
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    order = [
        *sorted(of_character, key=lambda c: of_character[c]),
        *dict.fromkeys(merge.replace(" ", "") for merge in merges),
    ]
    ranks = {bytes(of_character[c] for c in token): rank for rank, token in enumerate(order)}
    ids = [vocabulary[token] for token in order]
    encoding = tiktoken.Encoding("gguf", pat_str=pattern or GPT_2, mergeable_ranks=ranks, special_tokens={})
    yield "tiktoken", lambda text: [ids[rank] for rank in encoding.encode_ordinary(text)]
    made = tokenizers.Tokenizer.from_buffer(as_tokenizer_json(vocabulary, merges, pattern, whole_words))
    yield "tokenizers", lambda text: made.encode(text, add_special_tokens=False).ids


def _llama_cpp(vocabulary: Path, data: bytes) -> int:
    with LlamaModel(vocabulary, vocab_only=True) as model:
        return len(model.vocabulary.encode_array(data, parse_special=True))


def _threads(encode: Callable[[Any], Any], parts: list[Any], workers: int) -> int:
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(lambda part: len(encode(part)), parts))


def _count(vocabulary: Path, text: Path) -> int:
    done = subprocess.run(
        [*LLMCLI, "count", "-m", str(vocabulary), str(text)], check=True, capture_output=True
    )
    return int(done.stdout.split()[0])


def _lines(vocabulary: Path, text: Path) -> int:
    command = [*LLMCLI, "tokenize", "-m", str(vocabulary), "--lines", "--format", "ids", "-f", str(text)]
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL).returncode


def _llama_tokenize(program: Path, vocabulary: Path, text: Path) -> int:
    command = [str(program), "-m", str(vocabulary), "-f", str(text)]
    # Without --no-escape it turns the \n of program code into newlines.
    command += ["--ids", "--no-bos", "--no-escape", "--log-disable", "--show-count"]
    environ = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    done = subprocess.run(command, check=True, capture_output=True, env=environ)
    found = re.search(rb"Total number of tokens: (\d+)", done.stdout[-200:])
    if not found:
        raise SystemExit("llama-tokenize gave no count")
    return int(found[1])


if __name__ == "__main__":
    main()
