"""Building gigatoken for a GGUF's vocabulary: when it is needed, or ahead, while llama.cpp loads the file.

Each takes half a second with 128,000 tokens, most of it without the GIL, so on two processors the one costs
no time beside the other. The definition of a vocabulary over bytes says nothing that only llama.cpp knows.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from llmcli.errors import LlmcliError
from llmcli.gguf.header import Array, Header
from llmcli.tokens.backend import Backend
from llmcli.tokens.definition import definition, is_byte_level
from llmcli.tokens.kept import kept
from llmcli.tokens.memory import is_bounded

WORTH_BUILDING = 1 << 20
"""Bytes of input from which building it pays, for a vocabulary of 32,000 tokens."""


def worth_building(n_tokens: int) -> int:
    """Bytes of input from which it pays for a vocabulary of so many tokens."""
    return WORTH_BUILDING * max(1, n_tokens // 32_000)


def may_remember(header: Header) -> bool:
    """Whether the fast way for a vocabulary is one that keeps every word, and works on one processor."""
    return is_byte_level(header) and find_spec("gigatoken") is not None


def build(header: Header, *, puts_space: bool, cache: Path | None) -> Backend | None:
    """gigatoken with a vocabulary; None where it is missing or not proven to give the same ids.

    `puts_space`: whether llama.cpp puts a space before a text. `cache` is a folder for definitions.
    """
    if find_spec("gigatoken") is None:
        return None
    text = kept(cache, header, puts_space, lambda: definition(header, puts_space=puts_space))
    try:
        return None if text is None else Backend(text)
    except (ImportError, ValueError, RuntimeError, OverflowError):  # what gigatoken can't read, llama.cpp can
        return None


class Ahead:
    """gigatoken for `n_bytes` of text to come, built on a thread of its own where that pays.

    The thread is a daemon: where the file turns out to be none for llama.cpp, nobody waits for it.
    """

    def __init__(self, n_bytes: int, cache: Path | None) -> None:
        self._n_bytes, self._cache = n_bytes, cache
        self._building: Future[Backend | None] | None = None

    def begin(self, header: Header) -> None:
        """Begin, as soon as the file's header has been read, where its vocabulary is one over bytes."""
        tokens = header.metadata.get("tokenizer.ggml.tokens")
        n_tokens = tokens.length if isinstance(tokens, Array) else 0
        pays = self._n_bytes >= worth_building(n_tokens)
        # Where there is no memory left gigatoken aborts: in a helper that costs no more than the helper.
        if pays and may_remember(header) and not is_bounded():
            building: Future[Backend | None] = Future()
            args = (header, building)
            with suppress(RuntimeError):  # no thread may be begun any more
                threading.Thread(target=self._build, args=args, name="gigatoken", daemon=True).start()
                self._building = building

    def backend(self) -> Backend | None:
        """What was built, once it is; None where nothing was begun or came of it."""
        with suppress(LlmcliError, OSError, MemoryError):  # it is only a faster way
            return self._building.result() if self._building else None
        return None

    def _build(self, header: Header, building: Future[Backend | None]) -> None:
        try:
            building.set_result(build(header, puts_space=False, cache=self._cache))
        except BaseException as error:  # it is raised where the result is asked for
            building.set_exception(error)
