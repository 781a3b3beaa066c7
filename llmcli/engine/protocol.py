"""What an engine can do, in small pieces: other engines can do only some of it.

A remote server, say, generates but has no raw logits. What an engine lacks it does not pretend to have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import Tokenizer

Progress = Callable[[float], None]
"""Told how much of the work is done, from 0 to 1."""


@dataclass(frozen=True)
class Stage:
    """What one sampler of the chain left of the distribution.

    `ids` and `logits` are the survivors, in the sampler's own order; a logit is what the sampler made of it.
    """

    name: str
    params: dict[str, Any]
    ids: NDArray[np.int32]
    logits: NDArray[np.float32]


class Sampler(Protocol):
    """Chooses the next token: the chain of samplers, ending in a draw."""

    @property
    def seed(self) -> int:
        """The seed of the draw: with the same seed the same reply comes again."""
        ...

    @property
    def skipped(self) -> tuple[str, ...]:
        """Samplers of the chain that `stages` leaves out because they are random themselves."""
        ...

    def sample(self) -> int:
        """Draw the next id from the engine's current logits, and remember it for the penalties."""
        ...

    def stages(self) -> list[Stage]:
        """What each sampler in turn leaves of the engine's current distribution; draws nothing."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


class Logits(Protocol):
    """An engine that shows the raw scores of the next token."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary."""
        ...

    def ready(self, wanted: Sequence[int], *, on_progress: Progress | None = None) -> int:
        """Make the cache hold exactly `wanted`; how many tokens had to be evaluated for it.

        Raises WindowFullError when they do not fit, InterruptedByUser on Ctrl-C.
        """
        ...

    def logits(self) -> NDArray[np.float32]:
        """The raw scores of the next token, shape (n_vocab,): a view that dies at the next evaluation."""
        ...


class Generator(Protocol):
    """An engine that writes: evaluates a prompt, then one token after the other."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary."""
        ...

    @property
    def context_size(self) -> int:
        """The size of the window in tokens."""
        ...

    @property
    def cached(self) -> Sequence[int]:
        """The ids in the cache; not to be changed."""
        ...

    def ready(self, wanted: Sequence[int], *, on_progress: Progress | None = None) -> int:
        """As for `Logits`."""
        ...

    def sampler(self, options: SamplingOptions, prompt: Sequence[int]) -> Sampler:
        """A sampler chain; its penalties look back on `prompt`."""
        ...

    def feed(self, token_id: int) -> None:
        """Append one token to the cache and compute the next logits."""
        ...

    def ends_reply(self, token_id: int) -> bool:
        """Whether the token means that the model has finished (EOS, EOT, ...)."""
        ...
