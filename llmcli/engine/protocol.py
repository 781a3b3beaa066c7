"""What an engine can do, in small pieces: other engines can do only some of it.

A remote server, say, generates but has no raw logits. What an engine lacks it does not pretend to have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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

    def take_up(self, reply: Sequence[int]) -> bool:
        """Go on with a reply that was begun: a grammar stands where these ids have left it.

        False where it would not have allowed them; it is at its beginning then.
        """
        ...

    def stages(self, logits: NDArray[np.float32] | None = None) -> list[Stage]:
        """What each sampler in turn leaves of a distribution; draws nothing.

        Of the engine's current one, or of that of the `logits` given, shape (n_vocab,).
        """
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


@runtime_checkable
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


@runtime_checkable
class Scorer(Protocol):
    """An engine that shows the raw scores after every token of a text."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary."""
        ...

    @property
    def context_size(self) -> int:
        """The size of the window in tokens."""
        ...

    @property
    def n_threads(self) -> int:
        """How many threads evaluate a text; as many may work on what comes out of it."""
        ...

    def rows(
        self, wanted: Sequence[int], begin: int = 0, *, on_progress: Progress | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The logits after each token of `wanted` from position `begin` on, block by block.

        Each block is its first position and its rows, shape (n, n_vocab), which die with the next block. So
        memory does not grow with the text. What the cache holds before `begin` is not evaluated again. Errors
        as `Logits.ready`.
        """
        ...


class Branches(Protocol):
    """Several continuations of what is in the cache, side by side; each shares what it began as."""

    @property
    def room(self) -> int:
        """How many branches there can be at once."""
        ...

    @property
    def n_cells(self) -> int:
        """How many tokens all of them together can hold beyond the prompt."""
        ...

    @property
    def block(self) -> int:
        """How many tokens can be evaluated at once."""
        ...

    def fork(self, parent: int = 0) -> int:
        """A new branch that begins as `parent`; 0 is the prompt, which is never appended to."""
        ...

    def evaluate(self, tails: Sequence[tuple[int, Sequence[int]]]) -> list[NDArray[np.float32]]:
        """Append ids to branches, at most `block` in all.

        For each, the logits after each of its ids, shape (n, n_vocab), which die with the next call. Raises
        WindowFullError, InterruptedByUser.
        """
        ...

    def drop(self, branch: int) -> None:
        """Give up a branch; what no other shares leaves the cache."""
        ...


class Brancher(Protocol):
    """An engine that compares continuations of one prompt."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary."""
        ...

    @property
    def context_size(self) -> int:
        """The size of the window in tokens."""
        ...

    def ready(self, wanted: Sequence[int], *, on_progress: Progress | None = None) -> int:
        """As for `Logits`."""
        ...

    def logits(self) -> NDArray[np.float32]:
        """As for `Logits`."""
        ...

    def branches(self) -> AbstractContextManager[Branches]:
        """Branches that begin as what is in the cache; gone when the block is left."""
        ...

    def ends_reply(self, token_id: int) -> bool:
        """As for `Generator`."""
        ...


class Resumable(Protocol):
    """An engine whose cache can be put aside and taken up again, also by another process."""

    @property
    def cached(self) -> Sequence[int]:
        """The ids in the cache; not to be changed."""
        ...

    @property
    def state_version(self) -> str:
        """What the bytes of `state` depend on besides model and settings. Raises OSError."""
        ...

    def state(self) -> memoryview:
        """What the cache holds, as bytes."""
        ...

    def restore(self, ids: Sequence[int], state: memoryview) -> bool:
        """Put back, from writable memory, what held `ids`; False, and an empty cache, where it does not fit.

        The bytes have to be, to the last one, what `state` gave.
        """
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

    @property
    def can_shift(self) -> bool:
        """Whether what stands further back in the cache can be moved, and put aside."""
        ...

    def ready(
        self, wanted: Sequence[int], *, may_shift: bool = False, on_progress: Progress | None = None
    ) -> int:
        """As for `Logits`.

        With `may_shift`, what stood further back in the cache may be moved instead of being evaluated again,
        also behind what is new: cheap, and not the same to the last digit, as it still knows of what stood
        before it.
        """
        ...

    def forget_moved(self) -> None:
        """Take out of the cache what was moved within it, and what was evaluated behind that.

        What is left knows of nothing but what it follows on. Of what was restored nobody knows, and it goes.
        """
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Evaluate something else for a while: what is in the cache now is there again at the end.

        It takes its room meanwhile, but for what both begin with. Raises EngineError unless `can_shift`.
        """
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

    def close(self) -> None:
        """Give the memory back; every call raises EngineError from now on."""
        ...
