"""`llmcli probs`: what the model was about to say."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.open import open_engine, read_input
from llmcli.cli.options import ModelRef
from llmcli.engine.interrupt import AbortFlag
from llmcli.errors import UsageError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions

FORMATS = ("table", "json")


def probs(
    console: Console,
    engine: EngineOptions,
    sampling: SamplingOptions,
    sampling_given: bool,
    prompt: Annotated[str | None, typer.Argument(help="The text to continue; - for stdin.")] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="FILE", help="Read the prompt from a file.")
    ] = None,
    model: ModelRef = None,
    top: Annotated[str, typer.Option("-k", "--top", metavar="N", help="How many tokens to show.")] = "10",
    token: Annotated[
        list[str] | None,
        typer.Option("--token", metavar="TEXT", help="Show this token, too, wherever it ranks (repeatable)."),
    ] = None,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None, typer.Option("--format", metavar="|".join(FORMATS), help="Default: a table.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
) -> None:
    """Show the distribution of the next token after a prompt.

    prob is the softmax of the raw logits at temperature 1; sampled is what the sampler chain would draw from.
    """
    from llmcli.settings.values import integer

    try:
        k = integer(1)(top)
    except ValueError as error:
        raise UsageError(f"-k {top}: {error}") from None
    chosen = chosen_format(format, json, FORMATS, "table")
    if prompt is not None and file is not None:
        raise UsageError("give either a PROMPT or -f FILE, not both")
    [text] = read_input(console, (prompt,) if prompt is not None else (), (file,) if file is not None else ())
    with open_engine(console, model, engine, AbortFlag()) as llama:
        from llmcli.probs.next_token import next_token
        from llmcli.render.probs import as_json, as_table

        report = next_token(llama, text, sampling, k, token or ())
        for name in report.skipped:
            console.note(f"notice: {name} is random itself and left out of sampled_prob")
        if chosen == "json":
            console.write_raw(as_json(report, llama.tokenizer.name, text, sampling))
        else:
            pieces = {i: llama.tokenizer.piece(i) for asked in report.asked for i in asked.ids}
            console.rich().print(as_table(report, pieces, sampled=sampling_given))
