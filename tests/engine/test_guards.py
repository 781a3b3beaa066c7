"""Every call that could end the process ends in an exception instead.

What is known to kill where a guard fails runs in a child process, so that the failure is a failing test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.new_context import CACHE_TYPES as C_CACHE_TYPES
from llmcli.errors import (
    EngineError,
    GgufError,
    LlmcliError,
    ModelError,
    UsageError,
    WindowFullError,
)
from llmcli.settings.engine import CACHE_TYPES, EngineOptions
from llmcli.settings.option import build
from llmcli.settings.sampling import SamplingOptions
from tests.models import make_model

OUTSIDE = [-1, 485, 2**31 - 1, 2**31, 2**64, -(2**31) - 1]
"""Ids that the tiny model, which has 485 tokens, does not have."""


def in_child(code: str, *arguments: object) -> str:
    """What `code`, run in a process of its own with `arguments` in sys.argv, prints; fails if it dies."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


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
        context.can_shift = False
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
            ("root ::= (", "expecting"),
            ("nonsense", "expecting"),
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


CLOSED_USES: dict[str, Callable[[LlamaEngine, Any], object]] = {
    "ready": lambda engine, _: engine.ready([1, 2, 3]),
    "ready as it is": lambda engine, _: engine.ready([1, 2]),
    "feed": lambda engine, _: engine.feed(3),
    "logits": lambda engine, _: engine.logits(),
    "sample": lambda _, sampler: sampler.sample(),
    "stages": lambda _, sampler: sampler.stages(),
    "new sampler": lambda engine, _: engine.sampler(SamplingOptions(grammar='root ::= "a"')).sample(),
}


class TestUseAfterClose:
    """Whatever was closed says so."""

    @pytest.mark.parametrize("use", CLOSED_USES.values(), ids=CLOSED_USES)
    @pytest.mark.parametrize("closed", ["context", "model", "engine"])
    def test_of_a_context(self, tiny_model: Path, closed: str, use: Callable[[Any, Any], object]) -> None:
        """Closing the context, or the model under it, ends both, in any order and twice."""
        engine = LlamaEngine.load(tiny_model, EngineOptions(threads=1))
        engine.ready([1, 2])
        sampler = engine.sampler(SamplingOptions(grammar='root ::= "a"', dry_multiplier=1.0), [1, 2])
        (engine if closed == "engine" else getattr(engine, closed)).close()
        with pytest.raises(EngineError):
            use(engine, sampler)
        for thing in (sampler, engine.model, engine.context, engine, sampler):
            thing.close()

    def test_of_a_sampler(self, engine: LlamaEngine) -> None:
        """A closed sampler neither draws nor shows its stages."""
        engine.ready([1])
        sampler = engine.sampler(SamplingOptions())
        sampler.close()
        sampler.close()
        for use in (sampler.sample, sampler.stages):
            with pytest.raises(EngineError, match="the sampler is closed"):
                use()

    @pytest.mark.parametrize(
        "use",
        [
            lambda model: model.vocabulary.encode(b"text"),
            lambda model: model.vocabulary.piece(5),
            lambda model: model.vocabulary.is_special(5),
            lambda model: model.vocabulary.attributes(5),
            lambda model: model.vocabulary.ends_reply(5),
            lambda model: model.vocabulary.special_tokens(),
            lambda model: model.context_length,
            lambda model: model.chat_template,
            lambda model: model.check_generates(),
            lambda model: model.kv_bytes_per_token(),
            lambda model: LlamaContext(model),
        ],
    )
    def test_of_a_model_and_its_vocabulary(
        self, tiny_model: Path, use: Callable[[LlamaModel], object]
    ) -> None:
        """Everything that asks the C model or vocabulary is refused once it is gone."""
        model = LlamaModel(tiny_model)
        model.close()
        model.close()
        with pytest.raises(EngineError, match=r"tiny\.gguf is closed"):
            use(model)

    def test_of_what_the_garbage_collector_takes(self, tiny_model: Path) -> None:
        """Model, context and sampler left in a cycle are freed in whatever order, in silence."""
        out = in_child(
            """
            import gc, sys
            from pathlib import Path
            from llmcli.engine.llama.engine import LlamaEngine
            from llmcli.settings.engine import EngineOptions
            from llmcli.settings.sampling import SamplingOptions
            def cycle():
                engine = LlamaEngine.load(Path(sys.argv[1]), EngineOptions(threads=1))
                engine.ready([1, 2])
                sampler = engine.sampler(SamplingOptions(grammar='root ::= "a"'))
                engine.model.knot = [engine, sampler, engine.context]
                return engine
            for _ in range(3):
                cycle()
            gc.collect()
            left = cycle()
            print("done")
            """,
            tiny_model,
        )
        assert out == "done\n"


class TestModelFiles:
    """Files that are no model, or no longer one."""

    @pytest.mark.parametrize("vocab_only", [True, False])
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("empty", b""),
            ("text", "just a text, 안녕\n".encode() * 100),
            ("magic alone", b"GGUF"),
            ("random", b"GGUF" + bytes((i * 97 + 13) % 256 for i in range(5000))),
            (
                "version 3, then random",
                b"GGUF\x03\x00\x00\x00" + bytes((i * 57 + 13) % 256 for i in range(5000)),
            ),
            ("zeros", bytes(4096)),
        ],
    )
    def test_no_gguf(self, tmp_path: Path, name: str, content: bytes, vocab_only: bool) -> None:
        """An empty file, a text and garbage behind the magic are refused before llama.cpp sees them."""
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(content)
        with pytest.raises(GgufError, match=name):
            LlamaModel(path, vocab_only=vocab_only)

    def test_directory_and_missing(self, tmp_path: Path) -> None:
        """A directory and a name without a file say what they are."""
        for path in (tmp_path, tmp_path / "none.gguf"):
            with pytest.raises(LlmcliError, match=str(path)) as caught:
                LlamaModel(path)
            assert caught.value.exit_code == 1

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
    def test_half_a_gguf(self, tiny_model: Path, tmp_path: Path, share: float) -> None:
        """A file cut short anywhere is refused as such."""
        content = tiny_model.read_bytes()
        path = tmp_path / "half.gguf"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(GgufError, match=r"half\.gguf"):
            LlamaModel(path)

    def test_a_sound_file_that_llama_cpp_refuses(self, tmp_path: Path) -> None:
        """What only llama.cpp can know is told in its words: an architecture that it does not have."""
        writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "no-such-thing")
        writer.add_tensor("output.weight", np.ones((4, 4), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with pytest.raises(ModelError, match="unknown model architecture: 'no-such-thing'"):
            LlamaModel(tmp_path / "odd.gguf")

    def test_a_vocabulary_without_weights(self, shared: Path) -> None:
        """A file that holds only a vocabulary says so, and what it is good for."""
        with pytest.raises(ModelError, match="no weights") as caught:
            LlamaModel(shared / "vocabs" / "ggml-vocab-gpt-2.gguf")
        assert "tokenize" in caught.value.hint

    def test_truncated_while_in_use(self, tiny_model: Path, tmp_path: Path) -> None:
        """A mapped file that becomes shorter is an error at the next evaluation, no SIGBUS."""
        path = tmp_path / "model.gguf"
        path.write_bytes(tiny_model.read_bytes())
        out = in_child(
            """
            import os, sys
            from pathlib import Path
            from llmcli.engine.llama.engine import LlamaEngine
            from llmcli.errors import EngineError
            from llmcli.settings.engine import EngineOptions
            engine = LlamaEngine.load(Path(sys.argv[1]), EngineOptions(threads=1))
            engine.ready([1, 2])
            os.truncate(sys.argv[1], 4096)
            for use in (lambda: engine.feed(3), lambda: engine.ready([4, 5, 6])):
                try:
                    use()
                except EngineError as error:
                    print(error)
            engine.close()
            """,
            path,
        )
        assert out.count("became shorter while it was in use") == 2

    def test_truncated_while_held_in_memory(self, tiny_model: Path, tmp_path: Path) -> None:
        """With --no-mmap the file is not needed any more."""
        path = tmp_path / "model.gguf"
        path.write_bytes(tiny_model.read_bytes())
        with LlamaEngine.load(path, EngineOptions(threads=1, no_mmap=True)) as engine:
            os.truncate(path, 0)
            assert engine.ready([1, 2]) == 2


class TestEncoders:
    """Models that predict no next token are refused; evaluating a long text with one would abort."""

    def test_a_model_without_a_causal_mask(self, tmp_path: Path) -> None:
        """A model that sees what comes after is an encoder, whatever its architecture is called."""
        path = make_model(tmp_path / "embedder.gguf", causal=False)
        with pytest.raises(ModelError, match="does not predict the next token") as caught:
            LlamaEngine.load(path, EngineOptions())
        assert "tokenize" in caught.value.hint

    def test_word_pieces(self, shared: Path) -> None:
        """A WordPiece vocabulary belongs to an encoder."""
        with (
            LlamaModel(shared / "vocabs" / "ggml-vocab-bert-bge.gguf", vocab_only=True) as model,
            pytest.raises(ModelError, match="it makes embeddings"),
        ):
            model.check_generates()


class TestMissingTokens:
    """A BOS or EOS that the vocabulary does not have."""

    def test_is_refused(self, tmp_path: Path) -> None:
        """Asked for, it is a usage error; left to the model, it is left out."""
        writer = gguf.GGUFWriter(tmp_path / "bare.gguf", "llama")
        writer.add_tokenizer_model("rwkv")
        writer.add_token_list(["<s>", *(f"\\x{i:02x}" for i in range(256))])
        writer.add_token_types([3] + [1] * 256)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with LlamaModel(tmp_path / "bare.gguf", vocab_only=True) as model:
            for kwargs, name in (({"bos": True}, "BOS"), ({"eos": True}, "EOS")):
                with pytest.raises(UsageError, match=f"has no {name} token"):
                    model.vocabulary.encode(b"a", **kwargs)
            assert [model.vocabulary.piece(i) for i in model.vocabulary.encode(b"ab")] == [b"a", b"b"]


@pytest.mark.parametrize("vocabulary", ["bert-bge", "falcon", "gpt-2", "llama-bpe", "llama-spm", "qwen2"])
def test_bytes_that_decode_to_no_character(shared: Path, vocabulary: str) -> None:
    """Four bytes that would be a character above U+10FFFF are four bad bytes, not an uncaught exception."""
    out = in_child(
        """
        import sys
        from pathlib import Path
        from llmcli.engine.llama.model import LlamaModel
        from llmcli.tokens.tokenizer import decode
        bad = "\\ufffd".encode()
        with LlamaModel(Path(sys.argv[1]), vocab_only=True) as model:
            vocabulary = model.vocabulary
            for lead, second in ((0xF4, 0x90), (0xF4, 0xBF), (0xF5, 0x80), (0xF6, 0xAA), (0xF7, 0xBF)):
                one = bytes([lead, second, 0x80, 0xBF])
                for text in (one, b"a" + one + b" b", one * 3, one[:3] + one, b"\\xff" + one + b"\\x80"):
                    ids = vocabulary.encode(text, bos=False, eos=False)
                    as_bad = vocabulary.encode(text.replace(one, bad * 4), bos=False, eos=False)
                    print(ids == as_bad, decode(vocabulary, ids) == text)
        """,
        shared / "vocabs" / f"ggml-vocab-{vocabulary}.gguf",
    )
    expected = "False True" if vocabulary == "llama-spm" else "True False"
    assert out.splitlines() == [expected] * 25


def test_a_space_in_more_bytes_than_it_needs(tmp_path: Path) -> None:
    """Where spaces are spelled as U+2581 (Gemma 4), a space in two to four bytes is so many bad bytes."""
    tokens = ["<bos>", "\u2581", "a", "\u2581a", "\ufffd", "\n", *(f"<0x{i:02X}>" for i in range(256))]
    writer = gguf.GGUFWriter(tmp_path / "gemma.gguf", "llama")
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 1, 1, 1, 1, 1] + [6] * 256)
    writer.add_token_merges(["\u2581 a"])
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out = in_child(
        """
        import sys
        from pathlib import Path
        from llmcli.engine.llama.model import LlamaModel
        with LlamaModel(Path(sys.argv[1]), vocab_only=True) as model:
            for text in ("20", "c0a0", "e080a0", "f08080a0", "f7bfbfbf"):
                ids = model.vocabulary.encode(bytes.fromhex(text) + b"a", bos=False, eos=False)
                print(*map(model.vocabulary.piece, ids), sep="|")
        """,
        tmp_path / "gemma.gguf",
    )
    bad = repr("\ufffd".encode())
    assert out.splitlines() == ["b' a'", *("|".join([bad] * n + ["b'a'"]) for n in (2, 3, 4, 4))]


UNBROKEN = {
    "letters": "a",
    "Hangul": "한",
    "Han": "漢",
    "dashes": "-",
    "hex": "a1f",
    "spaces": " ",
    "digits": "7",
    "newlines": "\n",
}
VOCABULARIES = [
    "bert-bge",
    "deepseek-coder",
    "falcon",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "phi-3",
    "qwen2",
]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_100_000_characters_without_a_break(shared: Path, vocabulary: str) -> None:
    """No vocabulary overflows the stack, and each that loses nothing gives the text back."""
    out = in_child(
        """
        import json, sys
        from pathlib import Path
        from llmcli.engine.llama.model import LlamaModel
        from llmcli.tokens.tokenizer import decode
        with LlamaModel(Path(sys.argv[1]), vocab_only=True) as model:
            vocabulary = model.vocabulary
            for name, unit in json.loads(sys.argv[2]).items():
                text = (unit * 100_000)[:100_000].encode()
                ids = vocabulary.encode(text, bos=False, eos=False)
                print(name, len(ids) > 0 and decode(vocabulary, ids) == text)
        """,
        shared / "vocabs" / f"ggml-vocab-{vocabulary}.gguf",
        json.dumps(UNBROKEN),
    )
    lossless = dict(line.rsplit(" ", 1) for line in out.splitlines())
    assert lossless.keys() == UNBROKEN.keys()
    if vocabulary != "bert-bge":
        assert set(lossless.values()) == {"True"}, lossless
