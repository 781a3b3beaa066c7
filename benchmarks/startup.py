"""How long llmcli takes to say something, as multiples of bare Python's start.

    python -m benchmarks.startup [--rounds 30]

Runs the `llmcli` program that is installed beside this Python. Every command runs once a round, in turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

BARE = "python -c pass"
LLMCLI = str(Path(sys.executable).with_name("llmcli"))


CASES: dict[str, tuple[list[str], dict[str, str], float]] = {
    BARE: ([sys.executable, "-c", "pass"], {}, 1),
    "llmcli --version": ([LLMCLI, "--version"], {}, 8),
    "llmcli --help": ([LLMCLI, "--help"], {}, 13),
    "llmcli chat --help": ([LLMCLI, "chat", "--help"], {}, 13),
    "Tab after 'llmcli chat -m'": ([LLMCLI], {"_LLMCLI_NAMES": "models"}, 8),
    "Tab after 'llmcli config set'": ([LLMCLI], {"_LLMCLI_NAMES": "settings"}, 8),
}
"""What is run: its arguments, what is added to its environment, and the multiple it may cost."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Start-up time")
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    for name in CASES:
        _seconds(name)  # writes the bytecode
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name in CASES:
            seconds[name].append(_seconds(name))
    print(f"{rounds} rounds; milliseconds, and multiples of bare Python's\n")
    print("| command | min | median | x min | x median | target |\n|---|---|---|---|---|---|")
    for name, (_args, _environ, target) in CASES.items():
        figures = [(1000 * f(seconds[name]), f(seconds[name]) / f(seconds[BARE])) for f in (min, median)]
        (low, x_low), (middle, x_middle) = figures
        print(f"| `{name}` | {low:.1f} | {middle:.1f} | {x_low:.1f} | {x_middle:.1f} | {target} |")


def _seconds(name: str) -> float:
    args, environ, _target = CASES[name]
    started = time.perf_counter()
    subprocess.run(args, env=os.environ | environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
