"""What it costs to come back to a conversation: opening its file, and having its prompt in the cache again.

    python -m benchmarks.sessions open [--rounds 20]
    python -m benchmarks.sessions ready MODEL.gguf [--rounds 9]
    python -m benchmarks.sessions resume MODEL.gguf [--tokens 4000] [--rounds 3]

`open` times Store(path).open(name), from nothing to the tree of messages in memory, and the list of all of
them. `ready` times how soon `llmcli chat --continue` takes a line, with 10 and with 10,000 messages in the
session. `resume` times how long the first logits of a new turn take: with the kept cache (reading and
checking the file, llama.cpp taking it, evaluating 20 new tokens), and without it (evaluating all).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.ready import ready_times
from llmcli.chat.messages import Message
from llmcli.chat.snapshot import Snapshots, fingerprint_of
from llmcli.chat.store import Store
from llmcli.chat.tree import Made, Tree, append
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions

WORDS = "Top-p keeps the smallest group of most likely tokens that together have the probability p. " * 3
Times = tuple[float, float]
"""Seconds elapsed, and of the processor."""

NEW = 20
"""Tokens of the new turn."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Coming back to a conversation")
    commands = parser.add_subparsers(dest="command", required=True)
    opening = commands.add_parser("open")
    opening.add_argument("--rounds", type=int, default=20)
    being_ready = commands.add_parser("ready")
    being_ready.add_argument("model", type=Path)
    being_ready.add_argument("--rounds", type=int, default=9)
    resuming = commands.add_parser("resume")
    resuming.add_argument("model", type=Path)
    resuming.add_argument("--tokens", type=int, default=4000)
    resuming.add_argument("--rounds", type=int, default=3)
    resuming.add_argument("--flash-attn", choices=("auto", "on", "off"), default="auto")
    resuming.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        if args.command == "open":
            _measure_open(Path(folder), args.rounds)
        elif args.command == "ready":
            _measure_ready(Path(folder), args.model.absolute(), args.rounds)
        else:
            options = EngineOptions(
                ctx_size=args.tokens + 256, threads=args.threads, flash_attn=args.flash_attn
            )
            _measure_resume(Path(folder), args.model, options, args.tokens, args.rounds)


def _measure_open(folder: Path, rounds: int) -> None:
    files = {
        "10 messages in 10 sessions": _file(folder / "small.db", sessions=10, messages=10),
        "10,000 messages in one of them": _file(folder / "long.db", sessions=10, messages=10, longest=10_000),
        "10 messages in 1,000 sessions": _file(folder / "many.db", sessions=1000, messages=10),
    }
    steps: dict[str, Callable[[Path], None]] = {"open": _open, "list": _list}
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, path in files.items():
            for step, run in steps.items():
                _elapsed, processor = _timed(lambda: run(path))  # noqa: B023 - called at once
                seconds.setdefault((name, step), []).append(processor)
    print(f"milliseconds of the processor, medians of {rounds} rounds\n\n| | open | list |\n|---|---|---|")
    for name in files:
        print(f"| {name} | " + " | ".join(f"{1000 * median(seconds[name, s]):.1f}" for s in steps) + " |")


def _file(path: Path, *, sessions: int, messages: int, longest: int = 0) -> Path:
    """A file of sessions, the last one used of which is the longest."""
    with Store(path) as store:
        for number in range(sessions):
            n = longest if longest and number == sessions - 1 else messages
            saved = store.create(f"session {number}", model="tiny")
            store.close_session(store.save(saved, _tree(n), 0))
    return path


def _tree(n_messages: int) -> Tree:
    tree = Tree()
    for number in range(n_messages):
        if number % 2:
            tree = append(tree, Message("assistant", WORDS), made=Made(number, "stop"))
        else:
            tree = append(tree, Message("user", f"question {number}?"))
    return tree


def _measure_ready(folder: Path, model: Path, rounds: int) -> None:
    seconds: dict[int, list[float]] = {10: [], 10_000: []}
    for n_messages in seconds:
        path = folder / str(n_messages) / "data" / "sessions.db"
        path.parent.mkdir(parents=True)
        _file(path, sessions=10, messages=10, longest=n_messages)
    for _ in range(rounds):
        for n_messages, elapsed in seconds.items():
            elapsed.append(ready_times(model, str(folder / str(n_messages)), "--continue")[0])
    print(f"{model.stem}: seconds until chat takes a line, of {rounds} rounds\n")
    print("| messages | median | least |\n|---|---|---|")
    for n_messages, elapsed in seconds.items():
        print(f"| {n_messages:,} | {median(elapsed):.3f} | {min(elapsed):.3f} |")


def _open(path: Path) -> None:
    with Store(path) as store:
        store.open(store.latest())


def _list(path: Path) -> None:
    with Store(path) as store:
        store.summaries()


def _measure_resume(folder: Path, model: Path, options: EngineOptions, n_tokens: int, rounds: int) -> None:
    fresh: list[Times] = []
    kept: list[Times] = []
    for _ in range(rounds):
        with LlamaEngine.load(model, options) as engine:
            ids = (engine.tokenizer.encode(WORDS.encode()) * n_tokens)[:n_tokens]
            mark = fingerprint_of(model, options, engine.context_size, engine.state_version)
            engine.ready(ids)
            Snapshots(folder, engine, mark).keep("session")
        with LlamaEngine.load(model, options) as engine:
            fresh.append(_timed(lambda: engine.ready(ids + ids[:NEW])))  # noqa: B023 - called at once
        with LlamaEngine.load(model, options) as engine:
            snapshots = Snapshots(folder, engine, mark)

            def resume() -> None:
                assert list(snapshots.resume("session")) == ids  # noqa: B023 - called in this round
                engine.ready(ids + ids[:NEW])  # noqa: B023

            kept.append(_timed(resume))
    size = (folder / "session.kv").stat().st_size / 1e6
    of = f"{n_tokens} tokens and {NEW} new ones, {options.threads} threads, {size:.0f} MB"
    print(f"{model.stem}: {of}\n")
    print("| | prefill s | resumed s | ratio |\n|---|---|---|---|")
    for n, name in enumerate(("elapsed", "processor")):
        ratio = median(b[n] / a[n] for a, b in zip(fresh, kept, strict=True))
        all_fresh, all_kept = (median(times[n] for times in found) for found in (fresh, kept))
        print(f"| {name} | {all_fresh:.3f} | {all_kept:.3f} | {ratio:.3f} |")


def _timed(run: Callable[[], object]) -> Times:
    started, started_cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - started, time.process_time() - started_cpu


if __name__ == "__main__":
    main()
