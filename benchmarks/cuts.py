"""How often a window is cut, and what it costs, for spare parts of several sizes.

    python -m benchmarks.cuts VOCABULARY.gguf [--turns 300] [--window 4096] [--predict 200]

No model runs: conversations of made-up words go through the real template, tokenizer and policy. A larger
spare part makes cuts rarer, and leaves the model less of the conversation on average.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from statistics import mean

from benchmarks.window import TEMPLATE, words
from llmcli.chat.messages import ASSISTANT, USER, Message
from llmcli.chat.spelling import Spelling
from llmcli.chat.window import Window
from llmcli.engine.llama.model import LlamaModel

PARTS = (64, 32, 16, 8, 4, 2)


def main() -> None:
    """Print a row for each spare part."""
    parser = argparse.ArgumentParser(description="Cuts per 100 turns")
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--predict", type=int, default=200)
    args = parser.parse_args()
    print("| spare part | cuts per 100 turns | mean prompt, of the window |\n|---|---|---|")
    with LlamaModel(args.vocabulary, vocab_only=True) as model:
        for part in PARTS:
            cuts, used = _simulated(model, args.turns, args.window, args.predict, part)
            print(f"| 1/{part} | {cuts:.0f} | {used:.0%} |", flush=True)


def _simulated(model: LlamaModel, turns: int, size: int, predict: int, part: int) -> tuple[float, float]:
    """Cuts per 100 turns once the window has been full, and the mean share of it that prompts take then."""
    window, messages = Window(size), list[Message]()
    spelling = Spelling(TEMPLATE.render, model.vocabulary, ())
    draw = random.Random(1)
    cuts, prompts = 0, []
    for turn in range(turns):
        messages.append(Message(USER, words(draw.randint(5, 60), turn)))
        budget = window.budget(predict)
        plan = window.plan(messages, spelling, type(budget)(size, predict, spare=size // part))
        if plan.dropped:
            cuts += 1
            window.keep(window.after(messages, plan, spelling))
        if cuts:
            prompts.append(plan.tokens / size)
        messages.append(Message(ASSISTANT, words(draw.randint(10, predict // 3), turn + turns)))
    return 100 * cuts / max(1, len(prompts)), mean(prompts or [0.0])


if __name__ == "__main__":
    main()
