"""`llmcli count`: how many tokens, as wc counts words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.open import open_tokenizer
from llmcli.cli.options import ModelRef, TokenizerRef
from llmcli.cli.streams import Records, bulk, sources
from llmcli.engine.processors import usable_processors
from llmcli.errors import CheckError, UsageError
from llmcli.settings.values import integer

if TYPE_CHECKING:
    from llmcli.render.counts import Count


def count(
    console: Console,
    file: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Files; - for stdin.")] = None,
    model: ModelRef = None,
    tokenizer: TokenizerRef = None,
    limit: Annotated[
        str | None, typer.Option("--max", metavar="N", help="Exit with 1 if there are more than N tokens.")
    ] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="Bytes, characters and bytes per token, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    parse_special: Annotated[
        bool,
        typer.Option(
            "--parse-special/--no-parse-special",
            help="Whether special tokens written in the text are special.",
        ),
    ] = True,
    bos: Annotated[bool, typer.Option("--bos/--no-bos", help="Count a BOS token.")] = False,
    eos: Annotated[bool, typer.Option("--eos/--no-eos", help="Count an EOS token.")] = False,
) -> None:
    """Count the tokens of files, or of stdin.

    The text's own tokens: no BOS, no EOS unless asked for.
    """
    try:
        most = None if limit is None else integer(0, 2**63 - 1)(limit)
    except ValueError as error:
        raise UsageError(f"--max {limit}: {error}") from None
    from llmcli.render.counts import Count, as_json, as_rows

    counts: list[Count] = []
    with open_tokenizer(console, model, tokenizer) as vocabulary:
        encoder = bulk(console, vocabulary, parse_special=parse_special, bos=bos, eos=eos)
        n_tokens = n_bytes = n_chars = 0
        found = encoder.run(Records().read(sources(console, (), file or ()), encoder), usable_processors())
        for part in found:
            n_tokens += len(part.ids)
            n_bytes += len(part.batch.data)
            if stats or json:
                n_chars += len(part.batch.data.decode("utf-8", "surrogateescape"))
            if part.batch.ends:
                counts.append(Count(file[len(counts)] if file else None, n_tokens, n_bytes, n_chars))
                n_tokens = n_bytes = n_chars = 0
        name = vocabulary.name
    console.write(as_json(name, counts) if json else as_rows(counts, stats=stats))
    total = sum(one.tokens for one in counts)
    if most is not None and total > most:
        raise CheckError(f"{total:,} tokens, more than --max {most:,}")
