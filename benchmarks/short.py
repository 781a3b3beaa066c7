"""What one short text costs: `echo hi | llmcli tokenize` beside llama-tokenize, each a whole process.

    python -m benchmarks.short LLAMA_TOKENIZE VOCAB.gguf... [--rounds 15]

Processor time of all threads, the least of the rounds, in turns. Target: at most 0.25 s on top.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path


def cpu_seconds(command: list[str]) -> float:
    """The processor's time of a command that gets a short text."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=b"hi\n", capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure both in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llama_tokenize")
    parser.add_argument("vocabularies", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("| vocabulary | llama-tokenize | llmcli | on top |\n|---|---|---|---|")
    for path in options.vocabularies:
        commands = (
            [options.llama_tokenize, "-m", str(path), "--stdin", "--ids", "--log-disable"],
            [sys.executable, "-m", "llmcli", "tokenize", "-m", str(path)],
        )
        rounds = [[cpu_seconds(command) for command in commands] for _ in range(options.rounds)]
        peer, own = map(min, zip(*rounds, strict=True))
        print(f"| {path.stem} | {peer:.3f} s | {own:.3f} s | {own - peer:.3f} s |")


if __name__ == "__main__":
    main()
