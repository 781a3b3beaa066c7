"""The sampler: from the logits to one token, by a chain of samplers and a grammar."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmcli.engine.llama.candidates import candidates_of, stage_of
from llmcli.engine.llama.chain import chain_of
from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.grammar import grammar_sampler
from llmcli.engine.llama.library import lib
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.engine.protocol import Stage
from llmcli.errors import EngineError
from llmcli.settings.sampling import SamplingOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LlamaSampler:
    """A sampler chain over one context; one is made for each reply."""

    def __init__(
        self,
        context: LlamaContext,
        vocabulary: LlamaVocabulary,
        options: SamplingOptions,
        seed: int,
        prompt: Sequence[int] = (),
    ) -> None:
        """Build the chain. Its penalties look back on `prompt`, whose ids must be in the vocabulary.

        Raises UsageError for a grammar that does not parse or a biased token that does not exist.
        """
        self._context = context
        self._pointers: list[Any] = []
        self._chain: Any = None
        self.seed = seed
        for token_id, _bias in options.logit_bias:
            vocabulary.attributes(token_id)
        self._links = chain_of(vocabulary, options, context.size, seed)
        self._grammar = grammar_sampler(vocabulary, options)
        self._pointers = [link.make() for link in self._links]
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for pointer in self._pointers:
            lib.llama_sampler_chain_add(self._chain, pointer)
        last = lib.llama_sampler_init_greedy() if options.temp == 0 else lib.llama_sampler_init_dist(seed)
        lib.llama_sampler_chain_add(self._chain, last)
        self._look_back_on(prompt)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The samplers that `stages` leaves out because they are random themselves (XTC)."""
        return tuple(link.name for link in self._links if link.random)

    def sample(self) -> int:
        """Draw the next id and remember it.

        Raises EngineError where there are no logits, where they are no numbers, or where a grammar allows no
        token at all.
        """
        chain = self._open()
        context = self._context.pointer_with_logits()
        if self._grammar is None:
            token_id = int(lib.llama_sampler_sample(chain, context, -1))
            # One NaN on the way makes all of them NaN, and llama.cpp draws from them as if they were scores.
            if math.isnan(lib.llama_get_logits_ith(context, -1)[token_id]):
                raise EngineError(
                    "the model computes NaN instead of scores",
                    hint="leave the --rope-* and --yarn-* options out; else the file is broken: get it anew",
                )
            return token_id
        candidates, array = candidates_of(self._context.logits())
        self._apply_grammar(candidates, array)
        lib.llama_sampler_apply(chain, ctypes.byref(array))
        if not 0 <= array.selected < array.size:
            raise EngineError("the sampler chain chose no token")
        if not array.data[array.selected].logit > -math.inf:
            # Biases forbid all that the grammar allows, and one of those was drawn: as above.
            raise EngineError(
                "the grammar and the logit biases together allow no token here",
                hint="forbid less with --logit-bias, or let the grammar accept something else",
            )
        token_id = int(array.data[array.selected].id)
        lib.llama_sampler_accept(self._grammar, token_id)
        lib.llama_sampler_accept(chain, token_id)
        return token_id

    def take_up(self, reply: Sequence[int]) -> bool:
        """Go on with a reply that was begun: the grammar stands where these ids have left it.

        False for a reply that it would not have allowed, which leaves it at its beginning.
        """
        for token_id in reply if self._grammar is not None else ():
            candidate = lib.llama_token_data(id=token_id)
            data = ctypes.pointer(candidate)
            array = lib.llama_token_data_array(data=data, size=1, selected=-1, sorted=False)
            lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
            if candidate.logit == -math.inf:  # accepting it would end the process
                lib.llama_sampler_reset(self._grammar)
                return False
            lib.llama_sampler_accept(self._grammar, token_id)
        return True

    def stages(self, logits: NDArray[np.float32] | None = None) -> list[Stage]:
        """What each sampler leaves of the distribution, in order, down to what is drawn from.

        Of the engine's current one, or of the `logits` given, shape (n_vocab,).
        """
        self._open()
        candidates, array = candidates_of(self._context.logits() if logits is None else logits)
        stages = []
        if self._grammar is not None:
            self._apply_grammar(candidates, array)
            stages.append(stage_of("grammar", {}, array))
        for link, pointer in zip(self._links, self._pointers, strict=True):
            if link.random:
                continue
            lib.llama_sampler_apply(pointer, ctypes.byref(array))
            stages.append(stage_of(link.name, link.params, array))
        return stages

    def close(self) -> None:
        """Free the chain. Every call raises EngineError from now on."""
        # Taken first: a Ctrl-C behind a call would leave them to be freed once more.
        chain, self._chain = self._chain, None
        grammar, self._grammar = self._grammar, None
        self._pointers = []
        for sampler in (chain, grammar):
            if sampler is not None:
                lib.llama_sampler_free(sampler)  # a chain with the samplers in it

    def __del__(self) -> None:
        if hasattr(self, "_grammar"):
            self.close()

    def _open(self) -> Any:
        if self._chain is None:
            raise EngineError("the sampler is closed")
        return self._chain

    def _apply_grammar(self, candidates: NDArray[Any], array: Any) -> None:
        import numpy as np

        lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        if not np.any(candidates["logit"] > -np.inf):
            # Accepting any token now would end the process.
            raise EngineError(
                "the grammar allows no token of this vocabulary here",
                hint="let the grammar accept what the model can write",
            )

    def _look_back_on(self, prompt: Sequence[int]) -> None:
        for link, pointer in zip(self._links, self._pointers, strict=True):
            if link.remembers:
                for token_id in prompt[-self._context.size :]:
                    lib.llama_sampler_accept(pointer, token_id)
