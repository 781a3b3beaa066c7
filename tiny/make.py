"""Make `tiny` anew: corpus to vocabulary, training, GGUF, quantization. `python make.py` does it all."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ASSET = HERE.parent / "llmcli" / "assets" / "tiny.gguf"
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "8000000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "MALLOC_TOP_PAD_": "200000000",
}
"""Has glibc keep the memory of a training step for the next one, which then need not be given it anew."""


def main() -> None:
    """Run every step; each can also be run by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=HERE / "build", help="where the steps keep their files")
    parser.add_argument("--tokens", default="25e6", help="how many tokens to train on")
    parser.add_argument("--out", type=Path, default=ASSET)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    vocabulary, weights, f16 = (
        args.work / name for name in ("tokenizer.json", "weights.pt", "tiny-f16.gguf")
    )
    run("tokenizer.py", vocabulary)
    run("train.py", "--tokenizer", vocabulary, "--out", weights, "--tokens", args.tokens)
    run("export.py", "--weights", weights, "--tokenizer", vocabulary, "--f16", f16, "--out", args.out)
    run("evaluate.py", args.out, "--f16", f16)


def run(script: str, *args: object) -> None:
    """Run one step. Raises CalledProcessError where it fails."""
    command = [sys.executable, str(HERE / script), *map(str, args)]
    subprocess.run(command, check=True, env=os.environ | KEEP_MEMORY)


if __name__ == "__main__":
    main()
