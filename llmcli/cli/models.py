"""`llmcli models`: list, show, download and remove models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.models_change import pull, rm
from llmcli.cli.options import AsJson
from llmcli.errors import UsageError
from llmcli.settings.folders import cache_folder
from llmcli.settings.memory import MemoryOptions
from llmcli.settings.model import choose_model

if TYPE_CHECKING:
    from llmcli.models.find import Listed
    from llmcli.models.found import LeftOut

FORMATS = ("table", "tsv", "json", "jsonl")

Ref = Annotated[
    str | None,
    typer.Argument(metavar="[REF]", help="A name that 'models list' shows, a unique part of it, or a file."),
]


def list_models(
    console: Console,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="Default: a table on a terminal, tsv in a pipe."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """List the models on this machine, by the name that -m takes.

    They come from llmcli's own folder, the Hugging Face cache, Ollama, LM Studio and llama.cpp. In a pipe:
    name, bytes, quantization, parameters, context, source and path, separated by tabs. --debug says what was
    left out, and why.
    """
    chosen = chosen_format(format, json, FORMATS, "table" if console.writes_terminal else "tsv")
    from llmcli.models.find import find, look
    from llmcli.models.remembered import Remembered
    from llmcli.render.models import FORMATS as AS

    found, left_out = find(console.environ, console.config.folders)
    for one in left_out:
        _say_left_out(console, one)
    remembered = Remembered(cache_folder(console.environ) / "models.json")
    console.write_raw("".join(AS[chosen](_listed(console, look(found, remembered)))))


def path(console: Console, ref: Ref = None) -> None:
    """Print the file of a model: the first one of a split model."""
    from llmcli.gguf.cursor import read_bytes

    file = _located(console, ref)
    read_bytes(file, 0, 4)
    console.write(f"{file}\n")


def show(
    console: Console,
    ref: Ref = None,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    *,
    options: MemoryOptions,
) -> None:
    """Show all that a model's files say about it, and the memory that it takes.

    Parameters, size, how the tensors are stored, context, vocabulary, special tokens, chat template and
    metadata. The memory is that for a window of -c tokens, with these cache types, and with -ngl how much of
    it lies on the GPU.
    """
    from llmcli.gguf.memory import estimate
    from llmcli.models.details import details
    from llmcli.models.find import find
    from llmcli.models.names import name_of
    from llmcli.render.data import to_json
    from llmcli.render.models import details_as_data, details_as_text

    file = _located(console, ref)
    model = details(file)
    memory = estimate(model.headers, options)
    name = name_of(file, find(console.environ, console.config.folders)[0])
    if json:
        console.write_raw(to_json(details_as_data(name, model, memory), indent=2))
    else:
        console.write_raw("".join(details_as_text(name, model, memory)))


SUBCOMMANDS = {"list": list_models, "show": show, "pull": pull, "path": path, "rm": rm}


def _located(console: Console, ref: str | None) -> Path:
    from llmcli.models.names import locate

    if ref == "":
        raise UsageError("no model named", hint="'llmcli models list' shows those that there are")
    config = console.config
    choice = choose_model(ref, console.environ, config.model, config.aliases)
    return locate(str(choice.path), console.environ, config.folders)


def _listed(console: Console, seen: Iterator[Listed | LeftOut]) -> Iterator[Listed]:
    from llmcli.models.find import Listed

    for one in seen:
        if isinstance(one, Listed):
            yield one
        else:
            _say_left_out(console, one)


def _say_left_out(console: Console, one: LeftOut) -> None:
    from llmcli.render.safe import safe_line

    if console.debug:
        console.note(f"left out: {safe_line(str(one.path))}: {safe_line(one.reason)}")
