"""How soon `llmcli chat` takes a line: from its start until the prompt is there, beside the model's own load.

    python -m benchmarks.ready MODEL.gguf [--rounds 5]

The load is llama.cpp's: the model and a context of the same size, without llmcli's code, in a fresh process
that has imported llama_cpp already. The prompt is there when it is on the terminal. Target: at
most 1.3 times the load and 0.25 s. What Python takes to import the libraries alone stands beside it.
"""

from __future__ import annotations

import argparse
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
began = time.perf_counter()
model = lib.llama_model_load_from_file(sys.argv[1].encode(), lib.llama_model_default_params())
params = lib.llama_context_default_params()
params.n_ctx = {CONTEXT}
context = lib.llama_init_from_model(model, params)
assert context
print(time.perf_counter() - began)
"""


IMPORTS = "import typer, numpy, llama_cpp.llama_cpp, prompt_toolkit, jinja2"


def import_seconds() -> float:
    """The seconds that Python takes to start and to import what a chat is built on."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - began


def load_seconds(model: Path) -> float:
    """The seconds that llama.cpp takes to load the model and make a context."""
    ran = subprocess.run([sys.executable, "-c", LOAD, str(model)], capture_output=True, text=True, check=True)
    return float(ran.stdout.split()[-1])


def ready_seconds(model: Path, home: str) -> float:
    """The seconds until `llmcli chat` takes input."""
    began = time.perf_counter()
    child = pexpect.spawn(
        sys.executable,
        ["-m", "llmcli", "chat", "-m", str(model), "-c", str(CONTEXT), "--chat-template", "chatml"],
        env={"TERM": "xterm-256color", "LLMCLI_HOME": home, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        dimensions=(40, 100),
    )
    child.expect(">>>", timeout=300)
    seconds = time.perf_counter() - began
    child.close(force=True)
    return seconds


def main() -> None:
    """Measure both in turn, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        rows = [
            (import_seconds(), load_seconds(options.model), ready_seconds(options.model.absolute(), home))
            for _ in range(options.rounds)
        ]
    imports, load, ready = (median(column) for column in zip(*rows, strict=True))
    print(f"load {load:.3f} s, ready {ready:.3f} s, allowed {1.3 * load + 0.25:.3f} s")
    print(f"of which the imports alone: {imports:.3f} s")


if __name__ == "__main__":
    main()
