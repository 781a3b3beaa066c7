"""What the Markdown view costs: its share of the time in which a reply is written.

    python -m benchmarks.view [--rate 100] [--columns 80] [--rounds 3]

A reply with every kind of block comes in pieces of four characters, about a token each, at a steady rate, and
is drawn as `llmcli chat` draws it. The view spends no more time than it is allowed, so it is measured at the
rate itself, in the thread's own processor time: other work on the machine does not count. The plain view
(made safe, written) is beside it. Markdown has to stay below 3 %.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

from rich.console import Console

from llmcli.render.markdown_view import MarkdownView
from llmcli.render.safe import safe

PARAGRAPH = (
    "A *language model* reads the text so far as **tokens**, and gives each token of its vocabulary a "
    "probability of coming next. One is drawn, put behind the text, and `the loop` begins anew: that is all "
    "there is to [generation](https://example.org/generation), however long the reply. "
)
CODE = "```python\n" + "def step(text: str) -> str:\n    return text + draw(model(text))\n\n" * 12 + "```\n\n"
ITEMS = "".join(f"- item {n}: some words about it, and a `name`\n" for n in range(12)) + "\n"
TABLE = "| name | size | what it is |\n|---|--:|---|\n" + "| a | 12 | some words |\n" * 10 + "\n"
REPLY = f"# A title\n\n{PARAGRAPH * 3}\n\n{ITEMS}{CODE}{TABLE}> {PARAGRAPH}\n\n{PARAGRAPH}\n"


def share(push: Callable[[str], str], rate: float) -> float:
    """The processor time that `push` and writing take, for each second in which the reply comes."""
    pieces = [REPLY[at : at + 4] for at in range(0, len(REPLY), 4)]
    spent = 0.0
    with open(os.devnull, "wb", buffering=0) as terminal:  # noqa: PTH123 - no buffer
        began = time.perf_counter()
        for number, piece in enumerate(pieces, 1):
            before = time.thread_time()
            terminal.write(push(piece).encode())
            spent += time.thread_time() - before
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
    return spent / (len(pieces) / rate)


def main() -> None:
    """Measure both views in turn, and print their shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="tokens a second")
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shares: dict[str, list[float]] = {"plain": [], "markdown": []}
    for _ in range(options.rounds):
        console = Console(force_terminal=True, color_system="standard", width=options.columns)
        view = MarkdownView(console, lambda: (options.columns, 24))
        shares["plain"].append(share(safe, options.rate))
        shares["markdown"].append(share(view.push, options.rate))
    print(f"{len(REPLY) // 4} tokens at {options.rate:g} tokens/s, {options.columns} columns")
    for name, values in shares.items():
        print(f"{name:<10} {median(values):7.2%}   {'  '.join(f'{value:.2%}' for value in values)}")


if __name__ == "__main__":
    main()
