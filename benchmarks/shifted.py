"""How far a shifted cache is from an exact one: the next token's distribution, and greedy replies.

    python -m benchmarks.shifted MODEL.gguf [--template chatml] [--cuts 20] [--size 512]
                                 [--overflow drop|middle|summarize|shift]

Conversations are held in a window that is too small, until something is dropped. At each cut both caches are
made: what stays moved up, and the same ids evaluated anew. Compared are the distributions of the next token
(KL divergence in bits, same most probable token) and the 16 tokens that a greedy reply begins with. The same
is done with the cut made again and again in one cache, as in a long conversation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from llmcli.chat.builtin_templates import load_template
from llmcli.chat.conversation import Conversation
from llmcli.chat.reply import Dropped
from llmcli.chat.template import ChatTemplate
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions

QUESTIONS = (
    "What is a token?", "What does temperature do?", "What is top-k?", "What does top-p do?", "And min-p?",
    "What is a context window?", "What is a KV cache?", "Shorter please.", "What is quantization?",
    "What does llmcli tokenize do?", "What is a chat template?", "What is perplexity?", "Thank you.",
    "What is a logit?", "What does softmax do?", "What is a system message?", "My name is Minho.",
)  # fmt: skip
LENGTH = 16


@dataclass(frozen=True)
class Compared:
    """A shifted cache beside an exact one: KL in bits, the top token, and a greedy reply."""

    kl: float
    same_top: bool
    same_reply: bool
    same_tokens: float


def main() -> None:
    """Measure a model and print its row."""
    parser = argparse.ArgumentParser(description="Shifted against exact")
    parser.add_argument("model", type=Path)
    parser.add_argument("--template")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--overflow", choices=("drop", "middle", "summarize", "shift"), default="drop")
    args = parser.parse_args()
    options = EngineOptions(ctx_size=args.size, threads=1)
    with LlamaEngine.load(args.model, options) as shifted, LlamaEngine.load(args.model, options) as exact:
        template = _template(shifted, args.template)
        talk = partial(_talk, shifted, exact, template, args.overflow)
        rows = {
            "one cut": [talk(first, 1)[0] for first in range(args.cuts)],
            "cut upon cut": talk(0, args.cuts),
        }
    print(f"{args.model.stem}, window of {args.size}, {args.overflow}\n")
    print("| | cuts | KL bits: median | mean | worst | same top token | same reply | same tokens of it |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        kl = [one.kl for one in found]
        print(
            f"| {name} | {len(found)} | {median(kl):.4f} | {mean(kl):.4f} | {max(kl):.4f} "
            f"| {mean(one.same_top for one in found):.0%} | {mean(one.same_reply for one in found):.0%} "
            f"| {mean(one.same_tokens for one in found):.0%} |"
        )


def _template(engine: LlamaEngine, name: str | None) -> ChatTemplate:
    bos, eos = engine.tokenizer.template_tokens()
    if name is None:
        return ChatTemplate.from_source(engine.tokenizer.chat_template or "", name="own", bos=bos, eos=eos)
    return load_template(name, bos=bos, eos=eos)


def _talk(
    shifted: LlamaEngine, exact: LlamaEngine, template: ChatTemplate, overflow: str, first: int, cuts: int
) -> list[Compared]:
    """A conversation in one cache that begins with the question `first`, compared at each of its cuts."""
    shifted.ready([0])
    conversation = Conversation(
        shifted,
        template,
        SamplingOptions(temp=0.7, predict=40, seed=first),
        AbortFlag(),
        window_options=WindowOptions(refill="shift", overflow=overflow),
    )
    found: list[Compared] = []
    turn = first
    while len(found) < cuts:
        was_cut = False
        for event in conversation.ask(QUESTIONS[turn % len(QUESTIONS)]):
            was_cut |= isinstance(event, Dropped)
            if was_cut and not isinstance(event, Dropped) and len(found) < cuts:
                found.append(_compared(shifted, exact))
                was_cut = False
        turn += 1
    return found


def _compared(shifted: LlamaEngine, exact: LlamaEngine) -> Compared:
    """What the two say after the same ids; the shifted one is left as it was."""
    ids = list(shifted.cached)
    first, second = _log_softmax(shifted), _fresh(exact, ids)
    kl = float((np.exp(second) * (second - first)).sum() / np.log(2))
    replies = [_greedy(engine, ids) for engine in (shifted, exact)]
    same = [a == b for a, b in zip(*replies, strict=True)]
    prefix = same.index(False) if False in same else len(same)
    return Compared(kl, bool(first.argmax() == second.argmax()), all(same), prefix / LENGTH)


def _fresh(engine: LlamaEngine, ids: Sequence[int]) -> NDArray[np.float64]:
    engine.ready([ids[0], 0] if ids[1] else [ids[0], 1])
    engine.ready(ids)
    return _log_softmax(engine)


def _log_softmax(engine: LlamaEngine) -> NDArray[np.float64]:
    logits = engine.logits().astype(np.float64)
    logits -= logits.max()
    return np.asarray(logits - np.log(np.exp(logits).sum()))


def _greedy(engine: LlamaEngine, ids: Sequence[int]) -> list[int]:
    """The most probable continuation; the cache is stepped back afterwards."""
    said: list[int] = []
    for _ in range(LENGTH):
        said.append(int(engine.logits().argmax()))
        if len(engine.cached) >= engine.context_size:
            break
        engine.feed(said[-1])
    engine.ready(ids)
    return said + [-1] * (LENGTH - len(said))


if __name__ == "__main__":
    main()
