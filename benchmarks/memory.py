"""What `llmcli models show` says of memory, beside what llama.cpp then sets aside and the process takes.

    python -m benchmarks.memory MODEL.gguf... [-- ctx_size=8192,flash_attn=off ...]

Each model chats in a process of its own with each group of options, on a prompt almost as long as its
window. A is the estimate of what llama.cpp sets aside, B the sum of the buffers that it logs; C is the
estimate of what the process takes, D the most that it has taken (its resident memory). Target: both within
10 %.
"""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from llmcli.gguf.memory import estimate
from llmcli.models.details import details
from llmcli.settings.memory import MemoryOptions
from llmcli.settings.option import build

BUFFER = re.compile(r"(?<!~llama_context: )\b\S+ +(?:model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
USUAL = ("ctx_size=2048",)
TEMPLATE = 60
"""Tokens of the window that the chat template and a short reply may take."""


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
            prompt = text_of(name, memory.context_size - TEMPLATE)
            ran = subprocess.run(command, check=True, capture_output=True, input=prompt)
            buffers, taken = map(float, ran.stdout.split())
            beside = f"{total:.1f} | {buffers:.1f} | {total / buffers:.3f}"
            beside += f" | {resident:.1f} | {taken:.1f} | {resident / taken:.3f}"
            print(f"| {Path(name).name} | `{text}` | {beside} |", flush=True)


def parsed(text: str) -> dict[str, str]:
    """`a=1,b=2` as a dictionary."""
    return dict(part.split("=", 1) for part in text.split(","))


def text_of(model: str, n_tokens: int) -> bytes:
    """A text of so many tokens."""
    command = [sys.executable, "-m", "llmcli", "tokenize", "-m", model, "--truncate", str(n_tokens)]
    text = b"the cat sat on the mat and " * n_tokens
    return subprocess.run(command, check=True, capture_output=True, input=text).stdout


def measure(path: Path, text: str) -> None:
    """Chat about stdin, and print MiB: llama.cpp's buffers, and the most that the process has taken."""
    from llmcli.cli.console import Console
    from llmcli.cli.main import main as llmcli

    flags = [f"--{name.replace('_', '-')}={value}" for name, value in parsed(text).items()]
    said = BytesIO()
    console = Console(sys.stdin.buffer, BytesIO(), said)
    chat = ["chat", "--debug", "-m", str(path), "--chat-template", "chatml", "-n", "4", "--reserve", "4"]
    if llmcli([*chat, *flags], console):
        sys.exit(said.getvalue().decode())
    print(sum(map(float, BUFFER.findall(said.getvalue().decode()))), most_taken())


def most_taken() -> float:
    """MiB of this process that were in memory at once, as Linux has it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
