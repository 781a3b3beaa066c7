"""Which samplers make up a chain, in llama.cpp's order, and with which settings.

The chain that chat draws from and the one that probs walks stage by stage are the same. A sampler whose
setting does nothing is not in it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llmcli.engine.llama.library import lib
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.settings.sampling import SamplingOptions

# DRY's settings that are no options here, at llama.cpp's defaults.
DRY_BASE, DRY_ALLOWED_LENGTH, DRY_LAST_N = 1.75, 2, 64
DRY_BREAKERS = (b"\n", b":", b'"', b"*")

MIN_KEEP = 1


@dataclass(frozen=True)
class Link:
    """One sampler of the chain: its name in llama.cpp's options, its settings, and how to make it."""

    name: str
    params: dict[str, Any]
    make: Callable[[], Any]
    remembers: bool = False
    random: bool = False


def chain_of(vocabulary: LlamaVocabulary, o: SamplingOptions, n_ctx: int, seed: int) -> list[Link]:
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
    links = list[Link]()

    def add(used: bool, name: str, params: dict[str, Any], make: Callable[[], Any], **more: bool) -> None:
        if used:
            links.append(Link(name, params, make, **more))

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
        return links
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
    return links


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
