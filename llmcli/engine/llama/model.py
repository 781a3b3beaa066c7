"""A model loaded by llama.cpp: whole, or its vocabulary alone."""

from __future__ import annotations

import os
import struct
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.apart import NoThreadError, call_apart
from llmcli.engine.llama.library import lib, log
from llmcli.engine.llama.placing import came_of, place
from llmcli.engine.llama.vocabulary import NO_TOKEN, LlamaVocabulary
from llmcli.engine.offload import Offload
from llmcli.engine.protocol import Progress
from llmcli.errors import EngineError, InterruptedByUser, ModelError
from llmcli.gguf.cursor import AGAIN, read_bytes
from llmcli.gguf.header import Array, Header, check_tokens, read_header
from llmcli.settings.engine import EngineOptions

F16 = 2
"""Bytes of a value in the cache, as long as nobody asks for another type."""


class Closable(Protocol):
    """Something that uses a model's memory until it is closed."""

    def close(self) -> None:
        """Let go of the model."""
        ...


class LlamaModel:
    """A GGUF file in llama.cpp's hands. A context manager; closing frees the memory."""

    def __init__(
        self,
        path: Path,
        options: EngineOptions | None = None,
        *,
        vocab_only: bool = False,
        abort: AbortFlag | None = None,
        on_progress: Progress | None = None,
        on_header: Callable[[Header], object] | None = None,
    ) -> None:
        """Load `path`; with `vocab_only` no weights are read. `on_header` gets its header before that.

        Raises GgufError for a file that is no sound GGUF, ModelError with llama.cpp's own reason when it
        refuses the model, InterruptedByUser on Ctrl-C.
        """
        self._pointer: int | None = None
        self._file: int | None = None
        self._stays_allocated = False
        self._users: weakref.WeakSet[Closable] = weakref.WeakSet()
        self.path = path
        self.name = path.name
        options = options or EngineOptions()
        header = read_header(path)
        if vocab_only and "tokenizer.ggml.model" not in header.metadata:
            raise ModelError(f"{path}: has no vocabulary", hint="llmcli needs a model of text")
        if on_header:
            on_header(header)
        check_tokens(header)
        is_split = header.metadata.get("split.count", 1) not in (0, 1)
        if not vocab_only and not header.tensors and not is_split:
            raise ModelError(
                f"{path}: holds a vocabulary, but no weights",
                hint="tokenize and detokenize work with it; chat and probs need the whole model",
            )
        _check_byte_tokens(header)
        self.header = header
        self.maps_file = not vocab_only and not options.no_mmap
        self.size = header.size
        architecture = header.metadata.get("general.architecture")
        self._causal = header.metadata.get(f"{architecture}.attention.causal", True)
        self._held: list[Any] = []
        self._pointer = _load(header, options, vocab_only, abort or AbortFlag(), on_progress, self._held)
        self.offload = Offload(0, 0, ()) if vocab_only else came_of(options)
        if self.maps_file:
            self._file = os.open(path, os.O_RDONLY)
        # Now: when a context stretches it, llama.cpp takes the stretched one for the trained one.
        self.context_length = int(lib.llama_model_n_ctx_train(self.pointer))
        """The window that the model was trained for, in tokens."""
        self.vocabulary = LlamaVocabulary(self)

    @property
    def pointer(self) -> int:
        """The C model. Raises EngineError after `close`."""
        if self._pointer is None:
            raise EngineError(f"{self.name} is closed")
        return self._pointer

    @property
    def is_open(self) -> bool:
        """Whether the model has not been closed."""
        return self._pointer is not None

    def used_by(self, user: Closable) -> None:
        """Close `user` before this model: llama.cpp's objects read the model's memory to the last."""
        self._users.add(user)

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the model's own chat template."""
        template = lib.llama_model_chat_template(self.pointer, None)
        return template.decode("utf-8", "replace") if template else None

    def token_text(self, token_id: int) -> str:
        """A special token's name, as chat templates write it; empty where the model has none."""
        if token_id == NO_TOKEN:
            return ""
        return self.vocabulary.piece(token_id).decode("utf-8", "replace")

    def check_generates(self) -> None:
        """Raise ModelError unless this is a model that predicts the next token of a text."""
        pointer = self.pointer
        if lib.llama_model_has_encoder(pointer):
            reason = "an encoder-decoder model"
        elif not (lib.llama_model_has_decoder(pointer) and self._causal) or self._has_word_pieces():
            reason = "an encoder: it makes embeddings"
        elif lib.llama_model_is_diffusion(pointer):
            reason = "a diffusion model"
        else:
            return
        raise ModelError(
            f"{self.name} does not predict the next token (it is {reason})",
            hint="tokenize and detokenize work with it; chat and probs need a causal language model",
        )

    def _has_word_pieces(self) -> bool:
        return bool(self.vocabulary.kind == lib.LLAMA_VOCAB_TYPE_WPM)

    def check_file(self) -> None:
        """Raise EngineError if the mapped file has been cut short: reading its end would kill the process."""
        # Asked before each token: lseek gives the length alone, fstat would make an object of all there is.
        if self._file is not None and os.lseek(self._file, 0, os.SEEK_END) < self.size:
            raise EngineError(
                f"{self.path} became shorter while it was in use",
                hint="load the model again; with --no-mmap llmcli keeps a copy in memory",
            )

    def kv_bytes_per_token(self) -> int:
        """About how much memory a token takes in the KV cache, for a model without tricks."""
        pointer = self.pointer
        heads = max(1, lib.llama_model_n_head(pointer))
        width = lib.llama_model_n_embd(pointer) * lib.llama_model_n_head_kv(pointer) // heads
        return int(2 * lib.llama_model_n_layer(pointer) * width * F16)

    def keep_allocated(self) -> None:
        """From now on `close` frees nothing; the program's end does.

        For a thread that may still be inside llama.cpp with this model, and where to free it takes long.
        """
        self._stays_allocated = True

    def close(self) -> None:
        """Free the model. Whatever was made from it raises EngineError from now on."""
        for user in list(self._users):
            user.close()
        if self._pointer is not None:
            # In this order: a thread that comes now finds the model closed, one that came before is in_use.
            pointer, self._pointer = self._pointer, None
            # A model without a vocabulary is refused before it has this attribute.
            vocabulary = getattr(self, "vocabulary", None)
            if not (self._stays_allocated or (vocabulary and vocabulary.in_use)):
                lib.llama_model_free(pointer)
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __enter__(self) -> LlamaModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_users"):
            self.close()


def _check_byte_tokens(header: Header) -> None:
    """Refuse a SentencePiece vocabulary that can't spell every byte: at such a one llama.cpp dies."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if header.metadata.get("tokenizer.ggml.model") != "llama" or not isinstance(tokens, Array):
        return
    data, _ = read_bytes(header.path, tokens.offset, tokens.n_bytes)
    for byte in range(256):
        if b"<0x%02X>" % byte not in data and struct.pack("<QB", 1, byte) not in data:
            raise ModelError(
                f"{header.path}: the vocabulary has no token for the byte {byte:#04x}", hint=AGAIN
            )


def _load(
    header: Header,
    options: EngineOptions,
    vocab_only: bool,
    abort: AbortFlag,
    on_progress: Progress | None,
    held: list[Any],
) -> int:
    path = header.path
    params = lib.llama_model_default_params()
    params.vocab_only = vocab_only
    params.load_mode = _load_mode(options)
    if not vocab_only:
        held += place(params, header, options)

    is_awaited = True
    telling = threading.Lock()

    @lib.llama_progress_callback  # type: ignore[untyped-decorator]
    def progress(done: float, _user_data: object) -> bool:
        with telling:
            goes_on = is_awaited and not abort.is_set
            if on_progress and goes_on:
                on_progress(done)
        return goes_on

    params.progress_callback = progress
    log.lines.clear()
    name = os.fsencode(path)

    def load(*_in_use: object) -> Any:
        with abort.calling():
            return lib.llama_model_load_from_file(name, params)

    try:
        # While it reads a vocabulary, for up to a second, llama.cpp asks for no progress. Who waits no longer
        # leaves it behind, with all that it uses.
        pointer = call_apart(partial(load, held), discard=lib.llama_model_free)
    except NoThreadError:
        pointer = load()
    except KeyboardInterrupt:
        with telling:
            is_awaited = False
        raise InterruptedByUser from None
    if abort.is_set:
        if pointer is not None:
            lib.llama_model_free(pointer)
        abort.check()
    if pointer is None:
        raise ModelError(
            f"{path}: llama.cpp can't load it: {log.reason() or 'no reason given'}",
            hint="--debug shows all that llama.cpp says",
        )
    return int(pointer)


def _load_mode(options: EngineOptions) -> int:
    if options.mlock:
        mode = lib.LLAMA_LOAD_MODE_MLOCK if options.no_mmap else lib.LLAMA_LOAD_MODE_MMAP_MLOCK
    else:
        mode = lib.LLAMA_LOAD_MODE_NONE if options.no_mmap else lib.LLAMA_LOAD_MODE_AUTO
    return int(mode)
