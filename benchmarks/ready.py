"""How soon `llmcli chat` takes a line: from its start until the prompt is there, beside the model's own load.

    python -m benchmarks.ready MODEL.gguf [--rounds 5]

The load is llama.cpp's: the model and a context of the same size, without llmcli's code, in a fresh process
that has imported llama_cpp already. The prompt is there when it is on the terminal. Target: at
most 1.3 times the load and 0.25 s. What Python takes to import the libraries alone stands beside it, and the
processor's time of each, which says more where other programs run.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pexpect

CONTEXT = 4096
LOAD = f"""
import sys, time
from llama_cpp import llama_cpp as lib
lib.llama_backend_init()
began, cpu = time.perf_counter(), time.process_time()
model = lib.llama_model_load_from_file(sys.argv[1].encode(), lib.llama_model_default_params())
params = lib.llama_context_default_params()
params.n_ctx = {CONTEXT}
context = lib.llama_init_from_model(model, params)
assert context
print(time.perf_counter() - began, time.process_time() - cpu)
"""

TAKES_INPUT = "\x1b[?7l"
"""The line editor draws its line, which it wraps itself."""

Times = tuple[float, float]
"""Seconds elapsed, and of the processor."""

IMPORTS = "import typer, numpy, llama_cpp.llama_cpp, prompt_toolkit, jinja2"


def import_times() -> Times:
    """How long Python takes to start and to import what a chat is built on."""
    began, cpu = time.perf_counter(), _cpu_seconds()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - began, _cpu_seconds() - cpu


def load_times(model: Path) -> Times:
    """How long llama.cpp takes to load the model and make a context."""
    ran = subprocess.run([sys.executable, "-c", LOAD, str(model)], capture_output=True, text=True, check=True)
    *_, seconds, cpu = ran.stdout.split()
    return float(seconds), float(cpu)


def ready_times(model: Path, home: str, *more: str) -> Times:
    """How long it is until `llmcli chat` takes input, with these arguments `more`."""
    began = time.perf_counter()
    child = pexpect.spawn(
        sys.executable,
        ["-m", "llmcli", "chat", "-m", str(model), "-c", str(CONTEXT), "--chat-template", "chatml", *more],
        env={"TERM": "xterm-256color", "LLMCLI_HOME": home, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        dimensions=(40, 100),
    )
    child.expect_exact(TAKES_INPUT, timeout=300)
    seconds, used = time.perf_counter() - began, _cpu_seconds_of(child.pid)
    child.close(force=True)
    return seconds, used


def _cpu_seconds() -> float:
    """Processor time of the processes that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_seconds_of(pid: int) -> float:
    """Processor time of a process that runs, all its threads together, as Linux counts it."""
    _, _, fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    user, system = map(int, fields.split()[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure both in turn, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        rows = [
            (import_times(), load_times(options.model), ready_times(options.model.absolute(), home))
            for _ in range(options.rounds)
        ]
    print("| | load | ready | allowed | the imports alone |\n|---|---|---|---|---|")
    for n, name in enumerate(("elapsed", "processor")):
        imports, load, ready = (median(times[n] for times in column) for column in zip(*rows, strict=True))
        print(f"| {name} | {load:.3f} s | {ready:.3f} s | {1.3 * load + 0.25:.3f} s | {imports:.3f} s |")


if __name__ == "__main__":
    main()
