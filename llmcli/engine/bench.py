"""How fast a model runs: reading a prompt and generating, as llama-bench measures, and what a chat waits for.

The ids are drawn at random, as llama-bench draws them: what they say makes no difference to the time.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmcli.engine.protocol import Generator, Progress
from llmcli.settings.bench import BenchOptions
from llmcli.settings.sampling import SamplingOptions

TURN = 32
"""Tokens of the message in the second turn, at most."""


@dataclass(frozen=True)
class Timed:
    """One thing measured several times: how many tokens were evaluated, and the seconds of each run."""

    name: str
    n_tokens: int
    seconds: tuple[float, ...]

    @property
    def rates(self) -> list[float]:
        """Tokens a second, run by run."""
        return [self.n_tokens / seconds for seconds in self.seconds]


@dataclass(frozen=True)
class Measured:
    """What a benchmark gives; None where it was not asked for.

    `first_token` is reading the prompt and drawing a token; `second_turn` the same for a message behind a
    prompt and a reply that are in the cache, `kept` tokens.
    """

    prompt: Timed | None
    generation: Timed | None
    first_token: Timed | None
    second_turn: Timed | None
    kept: int


def window_for(options: BenchOptions) -> int:
    """The smallest window in which all of it can be measured, in tokens."""
    return options.n_prompt + options.n_gen + TURN + 1


def measure(engine: Generator, options: BenchOptions, *, on_progress: Progress | None = None) -> Measured:
    """Measure each thing `options.repetitions` times, after a run that does not count.

    Raises WindowFullError where the window is smaller than `window_for` says, InterruptedByUser on Ctrl-C.
    """
    bench = _Bench(engine, options, on_progress)
    return Measured(
        prompt=bench.run(f"pp{options.n_prompt}", options.n_prompt, bench.read_prompt),
        generation=bench.run(f"tg{options.n_gen}", options.n_gen, bench.generate),
        first_token=bench.run("first token", options.n_prompt, bench.first_token),
        second_turn=bench.run("second turn", TURN if options.n_prompt else 0, bench.second_turn),
        kept=options.n_prompt + options.n_gen if options.n_prompt else 0,
    )


class _Bench:
    """The runs of one benchmark."""

    def __init__(self, engine: Generator, options: BenchOptions, on_progress: Progress | None) -> None:
        self.engine, self.options, self.on_progress = engine, options, on_progress
        self.random = random.Random(0)
        self.done = 0
        tests = 3 * bool(options.n_prompt) + bool(options.n_gen)
        self.to_do = tests * (options.repetitions + 1)

    def run(self, name: str, n_tokens: int, once: Callable[[], float]) -> Timed | None:
        if not n_tokens:
            return None
        seconds = []
        for _ in range(self.options.repetitions + 1):
            seconds.append(once())
            self.done += 1
            if self.on_progress:
                self.on_progress(self.done / self.to_do)
        return Timed(name, n_tokens, tuple(seconds[1:]))

    def read_prompt(self) -> float:
        ids = self.ids(self.options.n_prompt)
        return _seconds(lambda: self.engine.ready(ids))

    def generate(self) -> float:
        first, *others = self.ids(self.options.n_gen)

        def run() -> None:
            self.engine.ready([first])
            for token_id in others:
                self.engine.feed(token_id)

        return _seconds(run)

    def first_token(self) -> float:
        return self.turn(self.ids(self.options.n_prompt))

    def second_turn(self) -> float:
        before = self.ids(self.options.n_prompt + self.options.n_gen)
        self.engine.ready(before)
        return self.turn([*before, *self.ids(TURN)])

    def turn(self, prompt: Sequence[int]) -> float:
        """Read a prompt and draw a token of the reply."""
        sampler = self.engine.sampler(SamplingOptions(seed=0), ())
        try:
            return _seconds(lambda: self.engine.ready(prompt) and sampler.sample())
        finally:
            sampler.close()

    def ids(self, count: int) -> list[int]:
        """Random ids that begin otherwise than what is in the cache: nothing of it can be kept."""
        n_vocab = self.engine.tokenizer.n_tokens
        ids = [self.random.randrange(n_vocab) for _ in range(count)]
        if self.engine.cached and ids and ids[0] == self.engine.cached[0]:
            ids[0] = (ids[0] + 1) % n_vocab
        return ids


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the standard deviation of a sample, 0 for a single value.

    >>> mean_and_deviation([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
