"""Tokens a second: llmcli's engine, a bare loop over llama.cpp, and llama-cpp-python's `Llama`, side by side.

    python -m benchmarks.generation MODEL.gguf... [--tokens 128] [--rounds 30] [--threads N]

All three run in one process, in turns (A B C, B C A, ...), with the same chain, seed, threads and window.
They must write the same tokens; if they do not, they were not doing the same work, and the script says so.
A's and C's text goes to /dev/null, flushed at each piece; B makes no text.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from llama_cpp import Llama

from benchmarks.bare import BareModel
from llmcli.chat.reply import Generated
from llmcli.chat.turn import take_turn
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.processors import usable_processors
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions

PROMPT = b"Once upon a time, there was a"

Writer = Callable[[], Sequence[int]]
"""Writes one reply; the ids that it made sure of (C does not evaluate its last one)."""


def main() -> None:
    """Measure each model and print a line of the table for it."""
    parser = argparse.ArgumentParser(description="Generation, side by side")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=usable_processors())
    args = parser.parse_args()
    print(f"{args.tokens} tokens, {args.rounds} rounds, {args.threads} threads; medians over the rounds")
    print("A llmcli, B bare loop, C Llama, in tokens/s; in brackets the ratio by CPU time\n")
    print("| model | A | B | C | A/B | A/C |\n|---|---|---|---|---|---|")
    for path in args.models:
        print(measured(path, args.tokens, args.rounds, args.threads), flush=True)


def measured(path: Path, tokens: int, rounds: int, threads: int) -> str:
    """A row of the table."""
    abort = AbortFlag()
    n_ctx = -(-(tokens + len(PROMPT) + 2) // 256) * 256
    with LlamaEngine.load(path, EngineOptions(ctx_size=n_ctx, threads=threads), abort=abort) as engine:
        prompt = engine.tokenizer.encode(PROMPT)
        bare = BareModel(path, n_ctx, threads)
        options = SamplingOptions(predict=tokens)
        options = replace(options, seed=bare.endless_seed(prompt, options))
        peer = _peer(path, n_ctx, threads)
        with Path(os.devnull).open("w", encoding="utf-8") as out:
            writers: list[Writer] = [
                lambda: _write_llmcli(engine, prompt, options, abort, out),
                lambda: bare.reply(prompt, options),
                lambda: _write_peer(peer, prompt, options, out),
            ]
            for writer in writers:
                writer()  # evaluates the whole prompt; from now on each evaluates its last token alone
            _check_same([writer() for writer in writers], path)
            wall, cpu = _rounds(writers, rounds)
    rates = (f"{tokens / median(seconds):,.0f}" for seconds in wall)
    ratios = (f"{_ratio(wall, other):.3f} ({_ratio(cpu, other):.3f})" for other in (1, 2))
    return f"| {' | '.join([path.stem, *rates, *ratios])} |"


def _rounds(writers: Sequence[Writer], rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of wall and of CPU time, for each writer a list with one figure a round."""
    wall: list[list[float]] = [[] for _ in writers]
    cpu: list[list[float]] = [[] for _ in writers]
    for round_ in range(rounds):
        for turn in range(len(writers)):
            which = (round_ + turn) % len(writers)
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            writers[which]()
            wall[which].append(time.perf_counter() - wall_start)
            cpu[which].append(time.process_time() - cpu_start)
    return wall, cpu


def _ratio(seconds: Sequence[Sequence[float]], other: int) -> float:
    """How much faster A is than another, as the median over the rounds."""
    return median(theirs / ours for ours, theirs in zip(seconds[0], seconds[other], strict=True))


def _write_llmcli(
    engine: LlamaEngine, prompt: Sequence[int], options: SamplingOptions, abort: AbortFlag, out: Any
) -> Sequence[int]:
    ids: Sequence[int] = ()
    for event in take_turn(engine, prompt, options, abort):
        if isinstance(event, Generated):
            for text, _thinking in event.shown:
                out.write(text)
                out.flush()
        else:
            ids = event.ids[len(prompt) :]
    return ids


def _peer(path: Path, n_ctx: int, threads: int) -> Llama:
    # Flash attention is what llmcli's "auto" comes to on a CPU; without it the class would be slower.
    return Llama(
        str(path),
        n_ctx=n_ctx,
        n_batch=n_ctx,
        n_threads=threads,
        n_threads_batch=threads,
        flash_attn=True,
        no_perf=True,
        verbose=False,
    )


def _write_peer(peer: Llama, prompt: Sequence[int], options: SamplingOptions, out: Any) -> Sequence[int]:
    chunks: Iterator[Any] = iter(
        peer.create_completion(
            list(prompt),
            max_tokens=options.predict,
            temperature=options.temp,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            typical_p=options.typical,
            repeat_penalty=options.repeat_penalty,
            seed=options.seed,
            stream=True,
        )
    )
    for chunk in chunks:
        out.write(chunk["choices"][0]["text"])
        out.flush()
    return [int(token_id) for token_id in peer.input_ids[len(prompt) : peer.n_tokens]]


def _check_same(replies: Sequence[Sequence[int]], path: Path) -> None:
    llmcli, bare, peer = map(list, replies)
    if not llmcli == bare == [*peer, *bare[-1:]]:
        raise SystemExit(f"{path}: the three wrote different tokens: nothing to compare")


if __name__ == "__main__":
    main()
