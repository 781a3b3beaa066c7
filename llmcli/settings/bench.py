"""What `llmcli bench` measures; names and defaults are llama-bench's."""

from __future__ import annotations

from dataclasses import dataclass

from llmcli.settings.option import option
from llmcli.settings.values import integer


@dataclass(frozen=True)
class BenchOptions:
    """How much is measured, and how often."""

    n_prompt: int = option(
        512, "-p", "--n-prompt", metavar="N", parse=integer(0), help="Tokens of the prompt; 0 = none."
    )
    n_gen: int = option(
        128, "-n", "--n-gen", metavar="N", parse=integer(0), help="Tokens to generate; 0 = none."
    )
    repetitions: int = option(
        5, "-r", "--repetitions", metavar="N", parse=integer(1, 1000), help="How often each is measured."
    )
