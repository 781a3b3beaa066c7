"""What llmcli adds to a token's time, early and late in a reply: it must not grow with the reply's length.

    python -m benchmarks.overhead MODEL.gguf [--early 50] [--late 2000] [--rounds 7]

The two calls that do the work, llama_decode and llama_sampler_sample, are timed from inside; what is left of
a token's time is llmcli's own (and the timers'), and what it adds is that less what a bare loop of the two
calls takes, which has to prepare them as well. A long KV cache pushes Python's data out of the processor's
caches at every llama_decode, whatever the program: so the same is measured of the bare loop, and of an early
token of a reply in a window that is as full, behind a long prompt.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare import BareModel, lib
from llmcli.chat.reply import Generated
from llmcli.chat.turn import take_turn
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.processors import usable_processors
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions

PROMPT = b"Once upon a time, there was a"
WIDTH = 50
"""How many tokens on either side of the ones in question are looked at."""


class InsideTimer:
    """Seconds spent within llama.cpp's two calls, in all."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("llama_decode", "llama_sampler_sample"):
            setattr(lib, name, self._timed(getattr(lib, name)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.perf_counter

        def call(*args: Any) -> Any:
            started = clock()
            result = function(*args)
            self.seconds += clock() - started
            return result

        return call

    def outside(self, tokens: Iterator[None]) -> list[float]:
        """For each token, the seconds it took outside of the two calls."""
        spent = []
        clock = time.perf_counter
        before = clock() - self.seconds
        for _ in tokens:
            after = clock() - self.seconds
            spent.append(after - before)
            before = after
        return spent


def main() -> None:
    """Measure, and print microseconds a token and their ratio."""
    parser = argparse.ArgumentParser(description="Time a token outside of llama.cpp")
    parser.add_argument("model", type=Path)
    parser.add_argument("--early", type=int, default=50)
    parser.add_argument("--late", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_processors())
    args = parser.parse_args()
    tokens = args.late + WIDTH
    n_ctx = -(-(tokens + len(PROMPT) + 2) // 256) * 256
    timer, abort = InsideTimer(), AbortFlag()
    engine_options = EngineOptions(ctx_size=n_ctx, threads=args.threads)
    with LlamaEngine.load(args.model, engine_options, abort=abort) as engine:
        prompt = engine.tokenizer.encode(PROMPT)
        bare = BareModel(args.model, n_ctx, args.threads)
        options = SamplingOptions(predict=tokens)
        options = replace(options, seed=bare.endless_seed(prompt, options))
        full = [*prompt, *itertools.islice(itertools.cycle(prompt[1:]), args.late - args.early)]
        brief = SamplingOptions(predict=args.early + WIDTH)
        brief = replace(brief, seed=bare.endless_seed(full, brief))
        print(f"{args.model.stem}: microseconds a token outside of llama.cpp, medians of {2 * WIDTH} tokens")
        print(f"and {args.rounds} rounds\n\n| | token {args.early} | token {args.late} | ratio |")
        print("|---|---|---|---|")
        with Path(os.devnull).open("w", encoding="utf-8") as out:
            writers: dict[str, Callable[[], Iterator[None]]] = {
                "llmcli": lambda: _llmcli_tokens(engine, prompt, options, abort, out),
                "bare loop": lambda: bare.tokens(prompt, options),
                "behind a long prompt": lambda: _llmcli_tokens(engine, full, brief, abort, out),
            }
            for writer in writers.values():
                timer.outside(writer())  # every token's piece is known after that, early and late
            rounds = [
                {name: timer.outside(writer()) for name, writer in writers.items()}
                for _ in range(args.rounds)
            ]
        early, late = (
            {name: [_around(of_round[name], at) for of_round in rounds] for name in writers}
            for at in (args.early, args.late)
        )
        _print_row("llmcli", early["llmcli"], late["llmcli"])
        _print_row("llmcli, window as full", early["behind a long prompt"], late["llmcli"])
        _print_row("bare loop", early["bare loop"], late["bare loop"])
        adds = {
            at: [mine - bare for mine, bare in zip(of["llmcli"], of["bare loop"], strict=True)]
            for at, of in (("early", early), ("late", late))
        }
        _print_row("llmcli adds to the bare loop", adds["early"], adds["late"])


def _print_row(name: str, early: Sequence[float], late: Sequence[float]) -> None:
    ratio = median(after / before for before, after in zip(early, late, strict=True))
    print(f"| {name} | {1e6 * median(early):.1f} | {1e6 * median(late):.1f} | {ratio:.2f} |")


def _around(spent: Sequence[float], at: int) -> float:
    around = spent[max(1, at - WIDTH) : at + WIDTH]
    return median(around) if around else 0.0


def _llmcli_tokens(
    engine: LlamaEngine, prompt: Sequence[int], options: SamplingOptions, abort: AbortFlag, out: Any
) -> Iterator[None]:
    for event in take_turn(engine, prompt, options, abort):
        if isinstance(event, Generated):
            for text, _thinking in event.shown:
                out.write(text)
                out.flush()
            yield


if __name__ == "__main__":
    main()
