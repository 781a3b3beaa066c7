"""A walk through the texts that a model might write: forth by a token, back, and along another branch.

What was computed once is remembered: stepping back, or to a place that was visited, evaluates nothing, and
what the engine's cache holds is not evaluated again when the walk goes on from there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator as Events
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcli.errors import WindowFullError
from llmcli.probs.distribution import Candidate, Distribution, check_logits
from llmcli.probs.next_token import Engine, chain_stages
from llmcli.settings.sampling import SamplingOptions

MOVED = 9
"""How many of the tokens that are drawn most are looked for beyond the most probable ones."""
REMEMBERED = 256 << 20
"""Bytes of logits that are kept, those of the places visited last."""

Path = tuple[int, ...]


class Explorer:
    """Where the walk stands: the prompt, the tokens chosen after it, and the samplers as they are set now."""

    def __init__(self, engine: Engine, prompt: Sequence[int], sampling: SamplingOptions) -> None:
        self.engine = engine
        self.prompt = tuple(prompt)
        self.sampling = sampling
        self.path: Path = ()
        self._logits: OrderedDict[Path, NDArray[np.float32]] = OrderedDict()
        self._tried: dict[Path, list[int]] = {}
        self._shown: tuple[Path, SamplingOptions, Distribution] | None = None

    @property
    def distribution(self) -> Distribution:
        """What comes next here, also after the samplers.

        Raises WindowFullError where the text no longer fits, InterruptedByUser on Ctrl-C.
        """
        if self._shown is None or self._shown[:2] != (self.path, self.sampling):
            logits = self._logits_here()
            stages, _skipped = chain_stages(self.engine, self._ids, self.sampling, logits)
            self._shown = (self.path, self.sampling, Distribution.of(logits, stages))
        return self._shown[2]

    def top(self, k: int) -> list[Candidate]:
        """The `k` most probable tokens here, those drawn most, and those tried before that are none of them.

        What is drawn most comes first: a bias or a penalty can put it before what is more probable.
        """
        distribution, tokenizer = self.distribution, self.engine.tokenizer
        found = distribution.top(k, tokenizer)
        ids = {candidate.id for candidate in found}
        more = dict.fromkeys(i for i in [*self._most_drawn(), *self.tried] if i not in ids)
        found += [distribution.candidate(i, tokenizer) for i in more]
        return sorted(found, key=lambda candidate: -candidate.sampled_prob)

    def _most_drawn(self) -> list[int]:
        """The tokens that the sampler chain draws most often here, some of them."""
        sampled = self.distribution.sampled
        if sampled is None:
            return []
        n = min(MOVED, len(sampled))
        drawn = np.argpartition(sampled, -n)[-n:]
        return [int(i) for i in drawn if sampled[i] > 0]

    @property
    def tried(self) -> Sequence[int]:
        """The tokens that were chosen here before, the last one last."""
        return self._tried.get(self.path, [])

    def choose(self, token_id: int) -> None:
        """Append a token. On an error, as of `distribution`, the walk stands where it stood."""
        self._check_room()
        before = self.path
        self._append(token_id)
        try:
            self._logits_here()
        except BaseException:
            self.path = before
            raise

    def back(self) -> int | None:
        """Take the last token back; its id, None at the prompt."""
        if not self.path:
            return None
        *rest, last = self.path
        self.path = tuple(rest)
        return last

    def set(self, **changes: Any) -> None:
        """Change sampling options."""
        self.sampling = replace(self.sampling, **changes)

    def generate(self) -> Events[int, None, None]:
        """Draw one token after another from the sampler chain and append it, until the model ends the text.

        Or until `predict` tokens are there. Each id as it comes. Raises WindowFullError where the window is
        full, InterruptedByUser on Ctrl-C.
        """
        self.engine.ready(self._ids)
        self._remember(self.engine.logits())
        sampler = self.engine.sampler(self.sampling, self._ids)
        n = 0
        try:
            while n != self.sampling.predict:
                check_logits(self.engine.logits())  # llama.cpp's samplers do not
                token_id = sampler.sample()
                if self.engine.ends_reply(token_id):
                    return
                self._check_room()
                self.engine.feed(token_id)
                self._append(token_id)
                self._remember(self.engine.logits())
                n += 1
                yield token_id
        finally:
            sampler.close()

    def pieces(self) -> list[bytes]:
        """The bytes of the tokens chosen after the prompt; of control tokens their names."""
        return [self.engine.tokenizer.piece(i) for i in self.path]

    @property
    def _ids(self) -> list[int]:
        return [*self.prompt, *self.path]

    def _check_room(self) -> None:
        if len(self._ids) >= self.engine.context_size:
            raise WindowFullError(f"the window of {self.engine.context_size:,} tokens is full")

    def _append(self, token_id: int) -> None:
        tried = self._tried.setdefault(self.path, [])
        if token_id in tried:
            tried.remove(token_id)
        tried.append(token_id)
        self.path = (*self.path, token_id)

    def _logits_here(self) -> NDArray[np.float32]:
        if self.path in self._logits:
            self._logits.move_to_end(self.path)
        else:
            self.engine.ready(self._ids)
            self._remember(self.engine.logits())
        return self._logits[self.path]

    def _remember(self, logits: NDArray[np.float32]) -> None:
        self._logits[self.path] = logits.copy()
        most = max(1, REMEMBERED // logits.nbytes)
        while len(self._logits) > most:
            self._logits.popitem(last=False)
