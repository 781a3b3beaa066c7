"""A model and its context as one engine: what chat and probs drive."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from llmcli.engine.branches import SequentialBranches
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.branches import LlamaBranches
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.sampler import LlamaSampler
from llmcli.engine.llama.state import restore_state, saved_state, state_version
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.engine.protocol import Progress
from llmcli.errors import EngineError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SEEDS, SamplingOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class LlamaEngine:
    """llama.cpp as `Logits`, `Scorer`, `Brancher`, `Generator` and `Resumable`. A context manager."""

    model: LlamaModel
    context: LlamaContext

    @classmethod
    def load(
        cls,
        path: Path,
        options: EngineOptions,
        *,
        abort: AbortFlag | None = None,
        on_progress: Progress | None = None,
        n_sequences: int = 1,
    ) -> LlamaEngine:
        """Load the model at `path` and make a context; errors as in LlamaModel and LlamaContext."""
        model = LlamaModel(path, options, abort=abort, on_progress=on_progress)
        try:
            model.check_generates()
            return cls(model, LlamaContext(model, options, abort, n_sequences))
        except BaseException:
            model.close()
            raise

    @property
    def tokenizer(self) -> LlamaVocabulary:
        """The model's vocabulary."""
        return self.model.vocabulary

    @property
    def context_size(self) -> int:
        """The size of the window in tokens."""
        return self.context.size

    @property
    def n_threads(self) -> int:
        """How many threads evaluate a prompt."""
        return self.context.n_threads

    @property
    def cached(self) -> Sequence[int]:
        """The ids in the cache; not to be changed."""
        return self.context.cached

    @property
    def can_shift(self) -> bool:
        """See LlamaCache.can_shift."""
        return self.context.cache.can_shift

    def ready(
        self, wanted: Sequence[int], *, may_shift: bool = False, on_progress: Progress | None = None
    ) -> int:
        """See LlamaContext.ready."""
        return self.context.ready(wanted, may_shift=may_shift, on_progress=on_progress)

    def forget_moved(self) -> None:
        """See LlamaContext.forget_moved."""
        self.context.forget_moved()

    def feed(self, token_id: int) -> None:
        """See LlamaContext.feed."""
        self.context.feed(token_id)

    def logits(self) -> NDArray[np.float32]:
        """See LlamaContext.logits."""
        return self.context.logits()

    @property
    def n_evaluated(self) -> int:
        """How many tokens were evaluated in all."""
        return self.context.n_evaluated

    def rows(
        self, wanted: Sequence[int], begin: int = 0, *, on_progress: Progress | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See LlamaContext.rows."""
        return self.context.rows(wanted, begin, on_progress=on_progress)

    def branches(self) -> LlamaBranches | SequentialBranches:
        """Branches side by side where the context was made for several, else one after the other."""
        branches = LlamaBranches(self.context)
        return branches if branches.room else SequentialBranches(self, self.cached)

    def sampler(self, options: SamplingOptions, prompt: Sequence[int] = ()) -> LlamaSampler:
        """A sampler chain for one reply; without a seed in the options, with a random one."""
        seed = options.seed if options.seed is not None and options.seed >= 0 else secrets.randbelow(SEEDS)
        return LlamaSampler(self.context, self.tokenizer, options, seed, prompt)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is in the cache now is there again when the block is left; see the protocol `Generator`."""
        aside = self.context.cache.aside
        if aside is None:
            raise EngineError("nothing in this model's cache can be put aside")
        cached = list(self.cached)
        aside.copy()
        try:
            yield
        finally:
            with self.context.abort.calling():
                self.context.hold(cached if aside.restore(len(cached)) else ())

    @property
    def state_version(self) -> str:
        """See state_version."""
        return state_version()

    def state(self) -> memoryview:
        """See saved_state."""
        return saved_state(self.context)

    def restore(self, ids: Sequence[int], state: memoryview) -> bool:
        """See restore_state."""
        return restore_state(self.context, ids, state)

    def ends_reply(self, token_id: int) -> bool:
        """Whether the token means that the model has finished."""
        return self.tokenizer.ends_reply(token_id)

    def close(self) -> None:
        """Free the cache and the model."""
        self.context.close()
        self.model.close()

    def __enter__(self) -> LlamaEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
