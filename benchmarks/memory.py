"""What `llmcli models show` says of memory, beside what llama.cpp then sets aside and the process takes.

    python -m benchmarks.memory MODEL.gguf... [-- ctx_size=8192,flash_attn=off ...]

Each model is loaded in a process of its own with each group of options, and evaluates a prompt as long as its
window. A is the estimate of what llama.cpp sets aside, B the sum of the buffers that it logs; C is the
estimate of what the process takes, D what it has taken (its resident memory). Target: both within 10 %.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from llmcli.gguf.memory import estimate
from llmcli.models.details import details
from llmcli.settings.memory import MemoryOptions
from llmcli.settings.option import build

BUFFER = re.compile(r"(?<!~llama_context: )\b\S+ +(?:model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
USUAL = ("ctx_size=2048",)


def main() -> None:
    """Measure, and print a row a model and group of options."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--measure"]:
        measure(Path(arguments[1]), arguments[2])
        return
    at = arguments.index("--") if "--" in arguments else len(arguments)
    print("| model | options | A MiB | B | A/B | C MiB | D | C/D |\n|---|---|---|---|---|---|---|")
    for name in arguments[:at]:
        for text in arguments[at + 1 :] or USUAL:
            model = details(Path(name))
            memory = estimate(model.headers, build(MemoryOptions, parsed(text)))
            total, resident = memory.total / 2**20, memory.resident / 2**20
            command = [sys.executable, "-m", "benchmarks.memory", "--measure", name, text]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            buffers, taken = map(float, ran.stdout.split())
            beside = f"{total:.1f} | {buffers:.1f} | {total / buffers:.3f}"
            beside += f" | {resident:.1f} | {taken:.1f} | {resident / taken:.3f}"
            print(f"| {Path(name).name} | `{text}` | {beside} |", flush=True)


def parsed(text: str) -> dict[str, str]:
    """`a=1,b=2` as a dictionary."""
    return dict(part.split("=", 1) for part in text.split(","))


def measure(path: Path, text: str) -> None:
    """Load a model, evaluate a prompt, and print MiB: llama.cpp's buffers, and what the process has taken."""
    from llmcli.engine.llama.engine import LlamaEngine
    from llmcli.engine.llama.library import log
    from llmcli.settings.engine import EngineOptions

    said: list[str] = []
    log.sink = said.append
    with LlamaEngine.load(path, build(EngineOptions, {"threads": "1", **parsed(text)})) as engine:
        engine.ready([7 * at % 250 for at in range(engine.context_size - 1)])
        taken = _resident()
    buffers = sum(float(size) for size in BUFFER.findall("".join(said)))
    print(buffers, taken)


def _resident() -> float:
    """MiB of this process in memory, as Linux has it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
