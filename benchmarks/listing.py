"""How long `llmcli models list` takes for many models.

    python -m benchmarks.listing MODEL.gguf [--files 1000]

Lists copies of MODEL, each a file of its own with a hole in place of its weights. Once they lie in the
Hugging Face cache, which vouches for them, and name their size in words (`general.size_label`), as most
models of the hub do, so that the beginning of a file is enough; and once they are loose files, which are
looked at up to their last tensor. The first list looks at every file; the later ones remember what it found.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from llmcli.gguf.header import read_header

ROUNDS = 5


def main() -> None:
    """Measure, and print a row a kind of store."""
    parser = argparse.ArgumentParser(description="Listing many models")
    parser.add_argument("model", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    options = parser.parse_args()
    header = read_header(options.model)
    start = min((tensor.offset for tensor in header.tensors), default=header.size)
    head = options.model.read_bytes()[: min(start, header.size)]
    print(f"{options.files:,} files with a header of {len(head):,} bytes")
    print(f"the first list, and medians of {ROUNDS} later ones\n")
    print("| where | first, of the processor | later, of the processor | models listed |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bare = _listed(Path(folder) / "empty")
        print(f"| nowhere | {bare[0]} | {bare[1]} | {bare[2]} |")
        for kind, make in (("Hugging Face cache", _hub), ("own folder", _own)):
            home = Path(folder) / kind.replace(" ", "-")
            for number in range(options.files):
                path = make(home, number)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    file.write(_labelled(head) if make is _hub else head)
                    file.truncate(header.size + 64)
            first, later, listed = _listed(home)
            print(f"| {kind} | {first} | {later} | {listed:,} |")


def _labelled(head: bytes) -> bytes:
    """The header with one more entry in its metadata."""
    key, text, label = b"general.size_label", 8, b"1B"
    entry = struct.pack(f"<Q{len(key)}sIQ{len(label)}s", len(key), key, text, len(label), label)
    n_tensors, n_entries = struct.unpack_from("<QQ", head, 8)
    return head[:8] + struct.pack("<QQ", n_tensors, n_entries + 1) + entry + head[24:]


def _hub(home: Path, number: int) -> Path:
    """A blob, and the link to it in a snapshot."""
    repository = home / f".cache/huggingface/hub/models--owner--repo-{number}"
    blob = repository / "blobs" / f"{number:064}"
    link = repository / "snapshots" / ("0" * 40) / "model-Q4_K_M.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return blob


def _own(home: Path, number: int) -> Path:
    return home / "data/models" / f"model-{number}.gguf"


def _listed(home: Path) -> tuple[str, str, int]:
    """Seconds and processor seconds of the first list and of later ones, and how many models it has."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "LLMCLI_HOME": str(home)}
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    wall, cpu = [], []
    for _ in range(ROUNDS + 1):
        before, started = _cpu_seconds(), time.perf_counter()
        command = [sys.executable, "-m", "llmcli", "models", "list"]
        ran = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE)
        wall.append(time.perf_counter() - started)
        cpu.append(_cpu_seconds() - before)
    first, later = (wall[0], cpu[0]), (median(wall[1:]), median(cpu[1:]))
    return _spelled(*first), _spelled(*later), len(ran.stdout.splitlines())


def _spelled(wall: float, cpu: float) -> str:
    return f"{wall:.2f}, {cpu:.2f}"


def _cpu_seconds() -> float:
    """Processor time of the processes that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
