"""`llmcli bench`: how fast a model runs on this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.open import open_engine, progress
from llmcli.cli.options import AsJson, ModelRef
from llmcli.engine.interrupt import AbortFlag
from llmcli.settings.bench import BenchOptions
from llmcli.settings.engine import EngineOptions

FORMATS = ("table", "json")


def bench(
    console: Console,
    measured: BenchOptions,
    engine: EngineOptions,
    model: ModelRef = None,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None, typer.Option("--format", metavar="|".join(FORMATS), help="Default: a table.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure how fast a model reads a prompt and generates, as llama-bench does, and what a chat waits for.

    pp is reading a prompt, tg generating without sampling: mean ± standard deviation over the repetitions.
    """
    from llmcli.engine.bench import measure, window_for
    from llmcli.engine.processors import usable_processors

    chosen = chosen_format(format, json, FORMATS, "table")
    if engine.ctx_size is None:
        engine = replace(engine, ctx_size=window_for(measured))
    with open_engine(console, model, engine, AbortFlag()) as llama:
        from llmcli.render.bench import FORMATS as AS

        with progress(console, "measuring") as on_progress:
            found = measure(llama, measured, on_progress=on_progress)
        offload = llama.model.offload
        about = {
            "model": llama.tokenizer.name,
            "size": llama.model.size,
            "threads": engine.threads or usable_processors(),
            "context_size": llama.context_size,
            "offload": {"layers": offload.layers, "of": offload.of, "devices": list(offload.devices)},
        }
        console.write(AS[chosen](found, about))
