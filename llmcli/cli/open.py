"""Opening what a command needs: files, a vocabulary, a model; with progress and notices for a person."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmcli.cli.console import Console
from llmcli.engine.interrupt import AbortFlag
from llmcli.errors import EngineError, InputError, UsageError
from llmcli.render.safe import safe_line
from llmcli.settings.engine import EngineOptions
from llmcli.settings.model import BUNDLED, choose_model

if TYPE_CHECKING:
    from llmcli.engine.llama.engine import LlamaEngine
    from llmcli.engine.llama.vocabulary import LlamaVocabulary
    from llmcli.engine.protocol import Progress
    from llmcli.gguf.header import Header
    from llmcli.tokens.tokenizer_json import JsonTokenizer

SOON = 0.3
"""Seconds of work before a progress bar is worth showing."""


def read_file(path: str) -> bytes:
    """The bytes of a file. Raises InputError saying why it can't be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def read_text(path: str) -> str:
    """The text of a UTF-8 file. Raises InputError where it can't be read or is no UTF-8."""
    return decode_text(read_file(path), path)


def decode_text(data: bytes, what: str) -> str:
    """UTF-8 as text. Raises InputError naming the first byte that is none."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: not UTF-8 at byte {error.start}", hint="convert it to UTF-8") from None


@contextmanager
def open_vocabulary(
    console: Console, reference: str | None, on_header: Callable[[Header], object] | None = None
) -> Iterator[LlamaVocabulary]:
    """The vocabulary of a model, without its weights. `on_header` gets the file's header before the rest."""
    path = _chosen(console, reference)
    from llmcli.engine.llama.model import LlamaModel

    _listen(console)
    abort = AbortFlag()
    with (
        abort.installed(),
        LlamaModel(path, vocab_only=True, abort=abort, on_header=on_header) as model,
    ):
        yield model.vocabulary
        # To free 100,000 tokens one by one takes a tenth of a second; the program's end does it at once.
        model.keep_allocated()


@contextmanager
def open_tokenizer(
    console: Console,
    model: str | None,
    tokenizer: str | None,
    on_header: Callable[[Header], object] | None = None,
) -> Iterator[LlamaVocabulary | JsonTokenizer]:
    """The tokenizer that --tokenizer names: a tokenizer.json, a folder with one, a GGUF; else the model's.

    `on_header` gets the header of a GGUF before the rest of it is read. Raises UsageError where both are
    given.
    """
    if tokenizer is None:
        with open_vocabulary(console, model, on_header) as vocabulary:
            yield vocabulary
        return
    if model is not None:
        raise UsageError("--tokenizer and -m can't both be given", hint="each names a tokenizer by itself")
    from llmcli.tokens.tokenizer_json import find_tokenizer_json, load_tokenizer_json

    path = find_tokenizer_json(Path(tokenizer))
    if path is not None:
        yield load_tokenizer_json(path)
        return
    with open_vocabulary(console, tokenizer, on_header) as vocabulary:
        yield vocabulary


@contextmanager
def open_engine(
    console: Console,
    reference: str | None,
    options: EngineOptions,
    abort: AbortFlag,
    *,
    n_sequences: int = 1,
    ahead: Sequence[Callable[[], object]] = (),
) -> Iterator[LlamaEngine]:
    """A model with a context, ready to run, and SIGINT in the hands of `abort` as long as it is open.

    What is called `ahead` is done meanwhile: llama.cpp does not need Python to load a model.
    """
    path = _chosen(console, reference)
    from llmcli.engine.llama.engine import LlamaEngine

    _listen(console)
    if ahead:
        with suppress(RuntimeError):  # no thread may be begun any more: it is done when it is needed
            threading.Thread(target=_do, args=(ahead,), daemon=True).start()
    with abort.installed():
        with progress(console, f"loading {path.name}") as on_progress:
            engine = LlamaEngine.load(
                path, options, abort=abort, on_progress=on_progress, n_sequences=n_sequences
            )
        with engine:
            _tell_of_gpu(console, options, engine)
            trained = engine.model.context_length
            stretched = options.rope_scaling != "none" and 0 < options.rope_freq_scale < 1
            reach = trained / options.rope_freq_scale if stretched else trained
            if reach and engine.context_size > -(-reach // 256) * 256:
                console.note(
                    f"notice: the window of {engine.context_size:,} tokens is larger than the "
                    f"{trained:,} that the model was trained for"
                )
                if not stretched:
                    ratio = trained / engine.context_size
                    unit = 10.0 ** (math.floor(math.log10(ratio)) - 1)
                    factor = math.floor(ratio / unit) * unit
                    console.note(f"        --rope-scaling yarn --rope-freq-scale {factor:g} stretches it")
            yield engine


def _do(ahead: Sequence[Callable[[], object]]) -> None:
    for call in ahead:
        with suppress(Exception):  # whoever needs it fails, too, and says so
            call()


def _tell_of_gpu(console: Console, options: EngineOptions, engine: LlamaEngine) -> None:
    """Say which layers went to which devices, or where a GPU is asked for, how to get a build for it."""
    if engine.model.offload.layers:
        console.note(f"offloaded {engine.model.offload}")
        return
    if options.n_gpu_layers in ("auto", 0) or options.device == ("none",):
        return
    from importlib.metadata import version

    from llmcli.engine.llama.devices import default_devices
    from llmcli.engine.machine import gpus, way_to_a_gpu_build

    if not default_devices():
        build = way_to_a_gpu_build(gpus(ask_driver=False), version("llama-cpp-python"))
        console.note(
            "notice: the installed build of llama-cpp-python can't use a GPU; running on the CPU\n"
            f"        {build}"
        )


@contextmanager
def progress(console: Console, what: str) -> Iterator[Progress | None]:
    """A progress bar on stderr that appears when the work takes long and is gone when it is done."""
    if console.quiet or not console.notes_on_terminal:
        yield None
        return
    started = time.monotonic()
    bar = None

    def update(done: float) -> None:
        nonlocal bar
        if bar is None and done < 1 and time.monotonic() - started > SOON:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
            bar = Progress(*columns, console=console.rich(notes=True), transient=True)
            bar.add_task(safe_line(what), total=1.0)
            bar.start()
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done)
            if done >= 1:
                bar.stop()
                bar = None

    try:
        yield update
    finally:
        if bar is not None:
            bar.stop()


def _chosen(console: Console, reference: str | None) -> Path:
    """The file of the model to use; someone at a terminal who named none is told which it is."""
    choice = choose_model(reference, console.environ, console.config.model, console.config.aliases)
    if choice.by_default and console.notes_on_terminal:
        console.note(
            f"notice: this is {BUNDLED}, the small model that ships with llmcli; "
            "for a larger one, name a GGUF file with -m"
        )
    from llmcli.models.names import locate

    return locate(str(choice.path), console.environ, console.config.folders)


def _listen(console: Console) -> None:
    """Show what llama.cpp says where someone wants to see it, and its last words in any case."""
    from llmcli.engine.llama.library import log

    def last_words(reason: str) -> None:
        error = EngineError(
            f"llama.cpp gave up: {reason}",
            hint="is the model file damaged? if not, this is a bug in llmcli or llama.cpp",
        )
        console.end_at_once(error)

    log.sink = console.say if console.debug else None
    log.last_words = last_words
