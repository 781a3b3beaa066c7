"""Closed and damaged models, and those that can't generate: an exception, never the end of the process.

What is known to kill where a guard fails runs in a child process, so that the failure is a failing test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from llmcli.engine.llama.context import LlamaContext
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.engine.llama.model import LlamaModel
from llmcli.errors import (
    EngineError,
    GgufError,
    LlmcliError,
    ModelError,
    UsageError,
)
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from tests.engine.child import in_child
from tests.models import make_model

CLOSED_USES: dict[str, Callable[[LlamaEngine, Any], object]] = {
    "ready": lambda engine, _: engine.ready([1, 2, 3]),
    "ready as it is": lambda engine, _: engine.ready([1, 2]),
    "feed": lambda engine, _: engine.feed(3),
    "logits": lambda engine, _: engine.logits(),
    "hold": lambda engine, _: engine.context.hold(()),
    "forget moved": lambda engine, _: engine.forget_moved(),
    "aside": lambda engine, _: engine.aside().__enter__(),
    "branches": lambda engine, _: engine.branches(),
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
