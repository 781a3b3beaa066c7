"""How often a window is cut, and what it costs, for spare parts of several sizes.

    python -m benchmarks.cuts VOCABULARY.gguf [--turns 300] [--window 4096] [--predict 200]

No model runs: conversations of made-up words go through the real template, tokenizer and policy. A larger
spare part makes cuts rarer, and leaves the model less of the conversation on average. What it costs the
processor to find out what leaves is measured on the way.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, median

from benchmarks.window import TEMPLATE, words
from llmcli.chat.messages import ASSISTANT, USER, Message
from llmcli.chat.spelling import Spelling
from llmcli.chat.window import Window
from llmcli.engine.llama.model import LlamaModel
from llmcli.tokens.literal import remembering

PARTS = (64, 32, 16, 8, 4, 2)


def main() -> None:
    """Print a row for each spare part."""
    parser = argparse.ArgumentParser(description="Cuts per 100 turns")
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--predict", type=int, default=200)
    args = parser.parse_args()
    print(
        "| spare part | cuts per 100 turns | mean prompt, of the window | ms to plan a turn: no cut | cut |\n"
        "|---|---|---|---|---|"
    )
    with LlamaModel(args.vocabulary, vocab_only=True) as model:
        for part in PARTS:
            cuts, used, uncut, cut = _simulated(model, args.turns, args.window, args.predict, part)
            print(f"| 1/{part} | {cuts:.0f} | {used:.0%} | {uncut:.1f} | {cut:.1f} |", flush=True)


def _simulated(
    model: LlamaModel, turns: int, size: int, predict: int, part: int
) -> tuple[float, float, float, float]:
    """Cuts per 100 turns once the window has been full, and the mean share of it that prompts take then.

    And the processor's milliseconds for the plan and the ids of a turn: medians of turns without a cut, and
    with one.
    """
    window, messages, known = Window(size), list[Message](), list[int]()
    vocabulary = model.vocabulary
    specials = [token.text.decode() for token in vocabulary.special_tokens()]
    render, encode = partial(TEMPLATE.render, protect=specials), remembering(vocabulary)
    draw = random.Random(1)
    prompts, uncut, cut = list[float](), list[float](), list[float]()
    for turn in range(turns):
        messages.append(Message(USER, words(draw.randint(5, 60), turn)))
        budget = replace(window.budget(predict), reserve=predict, spare=size // part)
        began = time.process_time()
        spelling = Spelling(render, vocabulary, known, encode=encode)
        plan = window.plan(messages, spelling, budget)
        if plan.dropped:
            window.keep(window.after(messages, plan, spelling), messages)
        ids = window.ids(messages, window.cut(messages), spelling)
        took = 1000 * (time.process_time() - began)
        if plan.dropped:
            cut.append(took)
        elif cut:
            uncut.append(took)
        if cut:
            prompts.append(plan.tokens / size)
        messages.append(Message(ASSISTANT, words(draw.randint(10, predict // 3), turn + turns)))
        known = [*ids, *vocabulary.encode(messages[-1].content.encode(), bos=False)]
    return 100 * len(cut) / max(1, len(prompts)), mean(prompts or [0.0]), median(uncut), median(cut)


if __name__ == "__main__":
    main()
