"""What looking at probabilities costs on top of the model: a step, a score, a tree.

    python -m benchmarks.probs step VOCABULARY.gguf
    python -m benchmarks.probs score MODEL.gguf llama-perplexity [--tokens 2000] [--context 512] [--rounds 3]
    python -m benchmarks.probs tree MODEL.gguf [--depth 4] [--width 3] [--rounds 3]

`step` times what is computed from a row of logits as long as the vocabulary. `score` reads the same text as
llama.cpp's own llama-perplexity, in turns, with the same context, batch and threads; memory is the peak of a
process of its own. Times are the processor's, so that neighbours on a busy machine do not count. `tree` grows
the same tree with its branches side by side and one after the other.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.probs.distribution import Distribution
from llmcli.probs.prompt import Prompt
from llmcli.probs.score import score
from llmcli.probs.tree import tree
from llmcli.settings.engine import EngineOptions
from llmcli.tokens.tokenizer import Tokenizer

WORDS = b"Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Time what probs computes")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("step").add_argument("vocabulary", type=Path)
    scoring, growing = kinds.add_parser("score"), kinds.add_parser("tree")
    for kind in (scoring, growing):
        kind.add_argument("model", type=Path)
        kind.add_argument("--rounds", type=int, default=3)
        kind.add_argument("--threads", type=int, default=1)
    scoring.add_argument("perplexity", type=Path)
    scoring.add_argument("--tokens", type=int, default=2000)
    scoring.add_argument("--context", type=int, default=512)
    scoring.add_argument("--only-memory", action="store_true", help=argparse.SUPPRESS)
    growing.add_argument("--depth", type=int, default=4)
    growing.add_argument("--width", type=int, default=3)
    args = parser.parse_args()
    {"step": _steps, "score": _scores, "tree": _trees}[args.kind](args)


def _steps(args: argparse.Namespace) -> None:
    with LlamaModel(args.vocabulary, vocab_only=True) as model:
        _time_steps(model.vocabulary)


def _time_steps(tokenizer: Tokenizer) -> None:
    logits = (np.random.default_rng(0).standard_normal(tokenizer.n_tokens) * 2.5).astype(np.float32)

    def naive() -> None:
        wide = logits.astype(np.float64)
        probs = np.exp(wide - wide.max())
        probs /= probs.sum()
        order = np.argsort(-probs)[:20]
        [(int(i), float(probs[i])) for i in order]

    def ours() -> None:
        distribution = Distribution.of(logits)
        distribution.top(20, tokenizer)

    def with_sums() -> None:
        distribution = Distribution.of(logits)
        distribution.top(20, tokenizer)
        _ = distribution.entropy_bits, distribution.size_of(0.9)

    print(f"{tokenizer.name}, {tokenizer.n_tokens:,} logits, float64, the best of 200\n\n| | ms |\n|---|---|")
    tasks: dict[str, Callable[[], None]] = {
        "top 20 with logprobs": ours,
        "and entropy, and how many make up 90 %": with_sums,
        "softmax and a full sort in NumPy": naive,
    }
    for name, task in tasks.items():
        print(f"| {name} | {1e3 * min(_wall(task) for _ in range(200)):.2f} |")


def _scores(args: argparse.Namespace) -> None:
    options = EngineOptions(
        ctx_size=args.context, batch_size=args.context, threads=args.threads, threads_batch=args.threads
    )
    with LlamaEngine.load(args.model, options) as engine:
        ids = engine.tokenizer.encode(WORDS * (args.tokens // 8 + 1))[: args.tokens]
        prompt = Prompt.plain(b"".join(map(engine.tokenizer.piece, ids[1:])))
        if args.only_memory:
            score(engine, prompt, 10)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            return
        ours, theirs, n_scored, n_evaluated = [], [], 0, 0
        with tempfile.NamedTemporaryFile("wb", suffix=".txt") as file:
            file.write(prompt.text)
            file.flush()
            for _ in range(args.rounds):
                before = engine.n_evaluated
                started = time.process_time()
                n_scored = score(engine, prompt, 10).n_scored
                ours.append(time.process_time() - started)
                n_evaluated = engine.n_evaluated - before
                theirs.append(_llama_perplexity(args, file.name))
    theirs_tokens = len(ids) // args.context * args.context
    rates = n_evaluated / median(ours), theirs_tokens / median(theirs)
    print(f"{args.model.stem}, {len(ids):,} tokens, context {args.context}, {args.threads} thread(s)\n")
    print("| | evaluated | CPU seconds | evaluated/s | scored | scored/s |\n|---|---|---|---|---|---|")
    scored_theirs = len(ids) // args.context * (args.context - 1 - args.context // 2)
    for name, n, seconds, n_sc in (
        ("llmcli probs --score", n_evaluated, median(ours), n_scored),
        ("llama-perplexity", theirs_tokens, median(theirs), scored_theirs),
    ):
        print(f"| {name} | {n:,} | {seconds:.2f} | {n / seconds:.0f} | {n_sc:,} | {n_sc / seconds:.0f} |")
    print(f"\nevaluated tokens/s, ratio: {rates[0] / rates[1]:.3f}")
    peaks = [_peak(args, n) for n in (args.tokens // 4, args.tokens)]
    print(f"peak memory at {args.tokens // 4:,} and {args.tokens:,} tokens: {peaks[0]} and {peaks[1]} MiB")


def _llama_perplexity(args: argparse.Namespace, text: str) -> float:
    """Seconds of processor time that llama-perplexity takes, less those it takes to begin."""
    command = [args.perplexity, "-m", args.model, "-f", text, "-c", args.context, "-b", args.context]
    command += ["-t", args.threads, "-tb", args.threads]
    return _processor_time(command) - _processor_time([*command, "--chunks", 0])


def _processor_time(command: list[object]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(map(str, command)), capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _peak(args: argparse.Namespace, tokens: int) -> int:
    """The peak memory in MiB of a process that scores so many tokens."""
    command = [sys.executable, "-m", "benchmarks.probs", "score", args.model, args.perplexity]
    command += ["--tokens", tokens, "--context", args.context, "--threads", args.threads, "--only-memory"]
    return int(subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout)


def _trees(args: argparse.Namespace) -> None:
    prompt = Prompt.plain(WORDS * 4)
    print(
        f"{args.model.stem}, a tree of {args.depth} steps and {args.width} branches, {args.threads} thread(s)"
    )
    print("\n| branches at once | evaluated tokens | CPU seconds |\n|---|---|---|")
    for n_sequences in (65, 1):
        options = EngineOptions(ctx_size=512, threads=args.threads)
        with LlamaEngine.load(args.model, options, n_sequences=n_sequences) as engine:
            engine.ready(prompt.ids(engine.tokenizer))
            seconds = []
            for _ in range(args.rounds):
                before = engine.n_evaluated
                seconds.append(_timed(lambda: tree(engine, prompt, args.depth, args.width)))
                n_evaluated = engine.n_evaluated - before
            print(f"| {n_sequences - 1 or 1} | {n_evaluated} | {median(seconds):.3f} |")


def _wall(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def _timed(task: Callable[[], object]) -> float:
    started = time.process_time()
    task()
    return time.process_time() - started


if __name__ == "__main__":
    main()
