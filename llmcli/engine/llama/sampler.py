"""The sampler chain: from the logits to one token.

The chain that chat draws from and the chain that probs walks stage by stage are one: the rows of `_rows`, in
llama.cpp's order. A sampler whose setting does nothing is not in it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.grammar import grammar_text
from llmcli.engine.llama.library import lib, log, said_on_stderr
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.engine.protocol import Stage
from llmcli.errors import EngineError, UsageError
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import to_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATE = [("id", "i4"), ("logit", "f4"), ("p", "f4")]
"""llama_token_data, as NumPy spells it."""

# DRY's settings that are no options here, at llama.cpp's defaults.
DRY_BASE, DRY_ALLOWED_LENGTH, DRY_LAST_N = 1.75, 2, 64
DRY_BREAKERS = (b"\n", b":", b'"', b"*")

MIN_KEEP = 1

MOST_GRAMMAR_RULES = 2000
"""llama.cpp's parser recurses for each parenthesis and each rule, and dies where the stack ends."""


@dataclass(frozen=True)
class _Row:
    """One sampler of the chain: its name in llama.cpp's options, its settings, and how to make it."""

    name: str
    params: dict[str, Any]
    make: Callable[[], Any]
    remembers: bool = False
    random: bool = False


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
        self._vocabulary = vocabulary
        self._pointers: list[Any] = []
        self._chain: Any = None
        self.seed = seed
        for token_id, _bias in options.logit_bias:
            vocabulary.attributes(token_id)
        self._rows = _rows(vocabulary, options, context.size, seed)
        self._grammar = self._make_grammar(options)
        self._pointers = [row.make() for row in self._rows]
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for pointer in self._pointers:
            lib.llama_sampler_chain_add(self._chain, pointer)
        last = lib.llama_sampler_init_greedy() if options.temp == 0 else lib.llama_sampler_init_dist(seed)
        lib.llama_sampler_chain_add(self._chain, last)
        self._look_back_on(prompt)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The samplers that `stages` leaves out because they are random themselves (XTC)."""
        return tuple(row.name for row in self._rows if row.random)

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
        candidates, array = self._candidates(self._context.logits())
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
        candidates, array = self._candidates(self._context.logits() if logits is None else logits)
        stages = []
        if self._grammar is not None:
            self._apply_grammar(candidates, array)
            stages.append(_stage("grammar", {}, array))
        for row, pointer in zip(self._rows, self._pointers, strict=True):
            if row.random:
                continue
            lib.llama_sampler_apply(pointer, ctypes.byref(array))
            stages.append(_stage(row.name, row.params, array))
        return stages

    def close(self) -> None:
        """Free the chain. Every call raises EngineError from now on."""
        if self._chain is not None:
            lib.llama_sampler_free(self._chain)  # and with it the samplers in it
            self._chain = None
            self._pointers = []
        if self._grammar is not None:
            lib.llama_sampler_free(self._grammar)
            self._grammar = None

    def __del__(self) -> None:
        if hasattr(self, "_grammar"):
            self.close()

    def _open(self) -> Any:
        if self._chain is None:
            raise EngineError("the sampler is closed")
        return self._chain

    def _candidates(self, logits: NDArray[np.float32]) -> tuple[NDArray[Any], Any]:
        """The whole vocabulary with its logits, as llama.cpp's samplers take it."""
        import numpy as np

        candidates = np.zeros(len(logits), CANDIDATE)
        candidates["id"] = np.arange(len(logits), dtype=np.int32)
        candidates["logit"] = logits
        data = candidates.ctypes.data_as(lib.llama_token_data_p)
        array = lib.llama_token_data_array(data=data, size=len(logits), selected=-1, sorted=False)
        return candidates, array

    def _apply_grammar(self, candidates: NDArray[Any], array: Any) -> None:
        import numpy as np

        lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        if not np.any(candidates["logit"] > -np.inf):
            # Accepting any token now would end the process.
            raise EngineError(
                "the grammar allows no token of this vocabulary here",
                hint="let the grammar accept what the model can write",
            )

    def _make_grammar(self, options: SamplingOptions) -> Any:
        text = grammar_text(options)
        if text is None:
            return None
        grammar = to_bytes(text, "the grammar")
        if max(grammar.count(b"("), grammar.count(b"::=")) > MOST_GRAMMAR_RULES:
            raise UsageError(
                "the grammar is too large",
                hint=f"at most {MOST_GRAMMAR_RULES:,} rules and parentheses can be parsed",
            )
        pointer = None
        log.lines.clear()
        with said_on_stderr() as said:
            if (
                grammar.strip() and b"\0" not in grammar
            ):  # C would take the one for none, and end at the other
                pointer = lib.llama_sampler_init_grammar(self._vocabulary.pointer, grammar, b"root")
        if not pointer:
            told = said().strip().partition("\n")[0].removeprefix("parse: error parsing grammar: ")
            if told.rstrip().endswith(" at"):  # then comes the rest of the grammar, which is nothing
                told = f"{told.rstrip()} its end"
            reason = told or log.reason() or "it is empty or has a NUL in it"
            raise UsageError(
                f"the grammar does not parse: {reason}",
                hint='it must be GBNF with a rule called root: root ::= "yes" | "no"',
            )
        return pointer

    def _look_back_on(self, prompt: Sequence[int]) -> None:
        for row, pointer in zip(self._rows, self._pointers, strict=True):
            if row.remembers:
                for token_id in prompt[-self._context.size :]:
                    lib.llama_sampler_accept(pointer, token_id)


def _stage(name: str, params: dict[str, Any], array: Any) -> Stage:
    """A copy of what is left: the array belongs to the samplers and changes under them."""
    import numpy as np

    n_bytes = array.size * ctypes.sizeof(lib.llama_token_data)
    buffer = ctypes.cast(array.data, ctypes.POINTER(ctypes.c_char * n_bytes))
    left = np.frombuffer(buffer.contents, CANDIDATE)
    left = left[left["logit"] > -np.inf]
    return Stage(name, params, left["id"].copy(), left["logit"].copy())


def _rows(vocabulary: LlamaVocabulary, o: SamplingOptions, n_ctx: int, seed: int) -> list[_Row]:
    """The samplers that do something, in order; a greedy choice needs none that only leave some out."""
    # llama.cpp sets memory aside for as many as it is told; there are never more than the window holds.
    look_back = n_ctx if o.repeat_last_n < 0 else min(o.repeat_last_n, n_ctx)
    biases = [*o.logit_bias, *((i, -math.inf) for i in _suppressed(vocabulary))]
    penalties = {
        "repeat_last_n": o.repeat_last_n,
        "repeat_penalty": o.repeat_penalty,
        "frequency_penalty": o.frequency_penalty,
        "presence_penalty": o.presence_penalty,
    }
    n = vocabulary.n_tokens
    rows = []

    def add(used: bool, name: str, params: dict[str, Any], make: Callable[[], Any], **more: bool) -> None:
        if used:
            rows.append(_Row(name, params, make, **more))

    add(bool(biases), "logit_bias", {"n": len(biases)}, lambda: _make_biases(n, biases))
    add(
        look_back > 0 and (o.repeat_penalty != 1 or o.frequency_penalty != 0 or o.presence_penalty != 0),
        "penalties",
        penalties,
        lambda: lib.llama_sampler_init_penalties(
            n, look_back, o.repeat_penalty, o.frequency_penalty, o.presence_penalty
        ),
        remembers=True,
    )
    add(
        o.dry_multiplier > 0,
        "dry",
        {"multiplier": o.dry_multiplier},
        lambda: _make_dry(vocabulary, o.dry_multiplier),
        remembers=True,
    )
    if o.temp == 0:
        add(True, "temperature", {"temp": 0.0}, lambda: lib.llama_sampler_init_temp(0.0))
        return rows
    add(
        o.top_nsigma > 0,
        "top_n_sigma",
        {"n": o.top_nsigma},
        lambda: lib.llama_sampler_init_top_n_sigma(o.top_nsigma),
    )
    add(0 < o.top_k < n, "top_k", {"k": o.top_k}, lambda: lib.llama_sampler_init_top_k(o.top_k))
    add(
        o.typical < 1,
        "typ_p",
        {"p": o.typical},
        lambda: lib.llama_sampler_init_typical(o.typical, MIN_KEEP),
    )
    add(o.top_p < 1, "top_p", {"p": o.top_p}, lambda: lib.llama_sampler_init_top_p(o.top_p, MIN_KEEP))
    add(o.min_p > 0, "min_p", {"p": o.min_p}, lambda: lib.llama_sampler_init_min_p(o.min_p, MIN_KEEP))
    add(
        o.xtc_probability > 0 and o.xtc_threshold <= 0.5,
        "xtc",
        {"probability": o.xtc_probability, "threshold": o.xtc_threshold},
        lambda: lib.llama_sampler_init_xtc(o.xtc_probability, o.xtc_threshold, MIN_KEEP, seed),
        random=True,
    )
    add(o.temp != 1, "temperature", {"temp": o.temp}, lambda: lib.llama_sampler_init_temp(o.temp))
    return rows


def _suppressed(vocabulary: LlamaVocabulary) -> list[int]:
    """Tokens that the model's metadata says must never be generated."""
    count = ctypes.c_int32(0)
    ids = lib.llama_vocab_get_suppress_tokens(vocabulary.pointer, ctypes.byref(count))
    return list(ids[: count.value]) if ids and count.value else []


def _make_biases(n_vocab: int, biases: Sequence[tuple[int, float]]) -> Any:
    array = (lib.llama_logit_bias * len(biases))(*(lib.llama_logit_bias(i, bias) for i, bias in biases))
    return lib.llama_sampler_init_logit_bias(n_vocab, len(biases), array)


def _make_dry(vocabulary: LlamaVocabulary, multiplier: float) -> Any:
    breakers = (ctypes.c_char_p * len(DRY_BREAKERS))(*DRY_BREAKERS)
    return lib.llama_sampler_init_dry(
        vocabulary.pointer, multiplier, DRY_BASE, DRY_ALLOWED_LENGTH, DRY_LAST_N, breakers, len(DRY_BREAKERS)
    )
