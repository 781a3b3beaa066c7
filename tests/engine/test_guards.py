"""Every call that could end the process ends in an exception instead.

What is known to kill where a guard fails runs in a child process, so that the failure is a failing test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.new_context import CACHE_TYPES as C_CACHE_TYPES
from llmcli.errors import (
    EngineError,
    GgufError,
    ModelError,
    UsageError,
    WindowFullError,
)
from llmcli.settings.engine import CACHE_TYPES, EngineOptions
from llmcli.settings.option import build
from llmcli.settings.sampling import SamplingOptions
from tests.engine.child import in_child
from tests.models import make_model

OUTSIDE = [-1, 485, 2**31 - 1, 2**31, 2**64, -(2**31) - 1]
"""Ids that the tiny model, which has 485 tokens, does not have."""


@pytest.mark.parametrize("token_id", OUTSIDE)
class TestIdsOutOfRange:
    """An id outside the vocabulary is a UsageError wherever one can be given."""

    @pytest.mark.parametrize(
        "ask",
        [
            lambda engine, i: engine.tokenizer.piece(i),
            lambda engine, i: engine.tokenizer.is_special(i),
            lambda engine, i: engine.tokenizer.attributes(i),
            lambda engine, i: engine.ends_reply(i),
            lambda engine, i: engine.ready([1, i, 2]),
            lambda engine, i: engine.feed(i),
            lambda engine, i: engine.sampler(SamplingOptions(logit_bias=((i, 1.0),))),
        ],
        ids=["piece", "is_special", "attributes", "ends_reply", "ready", "feed", "logit_bias"],
    )
    def test_is_a_usage_error(
        self, engine: LlamaEngine, token_id: int, ask: Callable[[LlamaEngine, int], object]
    ) -> None:
        """Text, kind, evaluation and bias all name the id, and the range that is allowed."""
        engine.ready([1, 2])
        with pytest.raises(UsageError, match=f"{token_id}.*is not in the vocabulary") as caught:
            ask(engine, token_id)
        assert "0 to 484" in caught.value.hint
        assert list(engine.cached) == [1, 2]


class TestNoLogits:
    """There is nothing to sample from before something was evaluated."""

    @pytest.mark.parametrize("grammar", [None, 'root ::= "a"'])
    def test_sampling(self, engine: LlamaEngine, grammar: str | None) -> None:
        """Sampling, with and without a grammar, and walking the stages say so."""
        sampler = engine.sampler(SamplingOptions(grammar=grammar))
        with pytest.raises(EngineError, match="no logits"):
            sampler.sample()
        with pytest.raises(EngineError, match="no logits"):
            sampler.stages()

    def test_reading_the_logits(self, engine: LlamaEngine) -> None:
        """So do the raw scores, also after an evaluation that failed."""
        with pytest.raises(EngineError, match="no logits"):
            engine.logits()

    def test_an_empty_prompt(self, engine: LlamaEngine) -> None:
        """Evaluating no tokens at all gives no logits either."""
        with pytest.raises(EngineError, match="no tokens"):
            engine.ready([])

    def test_the_view_is_read_only(self, engine: LlamaEngine) -> None:
        """The logits are llama.cpp's own memory: nobody writes into it by mistake."""
        engine.ready([1])
        with pytest.raises(ValueError, match="read-only"):
            engine.logits()[0] = 1.0


class TestSizes:
    """What llama.cpp takes at once is bounded; what it is given is not."""

    @pytest.mark.parametrize(("batch", "ubatch"), [(1, 1), (7, 3), (7, 512), (2048, 512), (2**31 - 1, 1)])
    def test_a_prompt_larger_than_a_batch_is_split(self, tiny_model: Path, batch: int, ubatch: int) -> None:
        """A prompt of 100 tokens goes through whatever the batch sizes are."""
        options = EngineOptions(threads=1, batch_size=batch, ubatch_size=ubatch)
        with LlamaEngine.load(tiny_model, options) as engine:
            assert engine.ready(range(100)) == 100
            assert engine.logits().shape == (485,)

    def test_a_prompt_larger_than_the_window(self, engine: LlamaEngine) -> None:
        """It is refused with both sizes, and the cache stays as it was."""
        engine.ready([1, 2])
        with pytest.raises(WindowFullError, match=r"513 tokens.*only 512"):
            engine.ready([3] * 513)
        assert list(engine.cached) == [1, 2]
        engine.logits()

    def test_feeding_a_full_window(self, engine: LlamaEngine) -> None:
        """The window takes exactly its size; one more token is an error and changes nothing."""
        engine.ready([3] * 511)
        engine.feed(4)
        with pytest.raises(WindowFullError, match="512 tokens is full"):
            engine.feed(5)
        assert len(engine.cached) == 512
        engine.logits()


class TestContextOptions:
    """Options on which llama.cpp would abort are refused, the others carry its own reason."""

    def test_every_cache_type_is_known(self) -> None:
        """The types that the settings allow are those that the engine can pass on; no other gets so far."""
        assert set(CACHE_TYPES) == set(C_CACHE_TYPES)
        with pytest.raises(UsageError, match="--cache-type-k q9_9: must be one of f32, f16"):
            build(EngineOptions, {"cache_type_k": "q9_9"})

    @pytest.mark.parametrize("cache_type", CACHE_TYPES)
    def test_every_cache_type_evaluates(self, tiny_model: Path, cache_type: str) -> None:
        """Keys and values of every type that is offered can be computed with."""
        options = EngineOptions(threads=1, cache_type_k=cache_type, cache_type_v=cache_type)
        with LlamaEngine.load(tiny_model, options) as engine:
            assert engine.ready([1, 2, 3]) == 3

    def test_quantized_values_need_flash_attention(self, tiny_model: Path) -> None:
        """A quantized V cache with flash attention off is a usage error that names the way out."""
        options = EngineOptions(cache_type_v="q8_0", flash_attn="off")
        with pytest.raises(UsageError, match="needs flash attention") as caught:
            LlamaEngine.load(tiny_model, options)
        assert "--flash-attn" in caught.value.hint

    @pytest.mark.parametrize("which", ["cache_type_k", "cache_type_v"])
    def test_a_cache_type_that_does_not_divide_the_head(self, tmp_path: Path, which: str) -> None:
        """A head of 16 values can't be cut into blocks of 32: llama.cpp's own reason is told."""
        path = make_model(tmp_path / "narrow.gguf", heads=4)
        with pytest.raises(ModelError, match="block size"):
            LlamaEngine.load(path, build(EngineOptions, {which: "q8_0"}))

    def test_a_window_that_no_memory_holds(self, tiny_model: Path) -> None:
        """The largest window that can be asked for is refused before llama.cpp takes the memory for it."""
        out = in_child(
            """
            import resource, sys
            from pathlib import Path
            from llmcli.engine.llama.engine import LlamaEngine
            from llmcli.errors import ModelError
            from llmcli.settings.engine import EngineOptions
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            try:
                LlamaEngine.load(Path(sys.argv[1]), EngineOptions(ctx_size=2**31 - 256)).close()
            except ModelError as error:
                print(error.message, error.hint)
            """,
            tiny_model,
        )
        assert "a window of 2,147,483,392 tokens does not fit into memory" in out
        assert "-c" in out

    def test_shifting_where_the_model_can_not(self, engine: LlamaEngine) -> None:
        """Asked to shift, a context that can't evaluates again instead."""
        context = engine.context
        run = [i % 400 for i in range(100)]
        context.ready([*range(50), *run, 1])
        context.cache.can_shift = False
        assert context.ready([7, *run, 1], may_shift=True) == 102
        assert list(context.cached) == [7, *run, 1]

    def test_a_damaged_adapter(self, tiny_model: Path, tmp_path: Path) -> None:
        """A LoRA file is checked before llama.cpp reads it, and a model is no adapter."""
        path = tmp_path / "lora.gguf"
        path.write_bytes(b"GGUF" + os.urandom(100))
        with pytest.raises(GgufError, match=r"lora\.gguf"):
            LlamaEngine.load(tiny_model, EngineOptions(lora=((path, 1.0),)))
        with pytest.raises(
            ModelError, match=r"tiny\.gguf: llama\.cpp can't load the adapter: .*expect general\.type"
        ):
            LlamaEngine.load(tiny_model, EngineOptions(lora=((tiny_model, 1.0),)))


class TestGrammars:
    """Grammars that do not parse, or leave no way on."""

    @pytest.mark.parametrize(
        ("grammar", "reason"),
        [
            ("root ::= (", r"expecting '\)' at its end$"),
            ("root ::= ) x", r"at \) x$"),
            ("nonsense", "expecting ::= at its end$"),
            ('start ::= "a"', "root"),
            ("root ::= other", "other"),
            ("root ::= root", "left recursion"),
            ("root ::= <[-1]>", "expecting"),
            ("root ::= <nope>", "invalid token"),
            (" \n", "it is empty"),
            ('root ::= "a"\x00 nonsense', "NUL"),
        ],
    )
    def test_an_invalid_one(
        self, engine: LlamaEngine, grammar: str, reason: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """It is a usage error with llama.cpp's own reason, which goes nowhere else."""
        with pytest.raises(UsageError, match=f"the grammar does not parse: .*{reason}"):
            engine.sampler(SamplingOptions(grammar=grammar))
        assert capfd.readouterr() == ("", "")

    def test_one_that_allows_nothing(self, engine: LlamaEngine) -> None:
        """A grammar that asks for a token which does not exist is an EngineError, at every draw."""
        engine.ready([1])
        sampler = engine.sampler(SamplingOptions(grammar="root ::= <[100000]>"))
        for _ in range(2):
            with pytest.raises(EngineError, match="allows no token"):
                sampler.sample()

    @pytest.mark.parametrize("temp", [0.0, 1.0])
    def test_one_whose_only_token_is_forbidden(self, engine: LlamaEngine, temp: float) -> None:
        """A bias of -inf on all that the grammar allows leaves nothing: drawing on would abort."""
        engine.ready([1])
        (only,) = engine.tokenizer.encode(b"a")
        options = SamplingOptions(grammar='root ::= "a"', logit_bias=((only, -float("inf")),), temp=temp)
        with pytest.raises(EngineError, match="no token"):
            engine.sampler(options).sample()

    def test_after_its_end(self, engine: LlamaEngine) -> None:
        """A grammar that is complete allows only the end of the reply."""
        engine.ready([1])
        sampler = engine.sampler(SamplingOptions(grammar='root ::= "a"'))
        engine.feed(sampler.sample())
        assert engine.ends_reply(sampler.sample())
