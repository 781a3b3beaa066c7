"""`llmcli count`: how many tokens, as wc counts words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.inputs import known_size, sources
from llmcli.cli.options import ModelRef, ParseSpecial, TokenizerRef
from llmcli.cli.streams import Added, Records, open_encoder
from llmcli.engine.processors import usable_processors
from llmcli.errors import CheckError, InputError, LlmcliError, UsageError
from llmcli.settings.values import integer

if TYPE_CHECKING:
    from llmcli.tokens.batch import BatchCount


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
    parse_special: ParseSpecial = True,
    bos: Annotated[bool, typer.Option("--bos/--no-bos", help="Count a BOS token.")] = False,
    eos: Annotated[bool, typer.Option("--eos/--no-eos", help="Count an EOS token.")] = False,
) -> None:
    """Count the tokens of files, or of stdin.

    The text's own tokens: no BOS, no EOS unless asked for. A file that can't be read is named, the others
    are counted, and the exit code is 1.
    """
    try:
        most = None if limit is None else integer(0, 2**63 - 1)(limit)
    except ValueError as error:
        raise UsageError(f"--max {limit}: {error}") from None
    files = file or []
    unreadable: dict[int, InputError] = {}
    added = Added(parse_special, bos, eos)
    with open_encoder(console, model, tokenizer, added, known_size(files)) as (vocabulary, encoder):
        streams = sources(console, (), files, unreadable.__setitem__)
        whole = Records()
        found = encoder.count(whole.read(streams, encoder), usable_processors(), whole.memory)
        tallies = list(_tallies(found, with_chars=stats or json))
        name = vocabulary.name
    from llmcli.render.counts import Count, as_json, as_rows

    # The same file may be there the first time, and gone the second.
    paths = [path for place, path in enumerate(files) if place not in unreadable] if files else [None]
    counts = [Count(path, *tally) for path, tally in zip(paths, tallies, strict=True)]
    if counts:
        rows = as_json(name, counts) if json else as_rows(counts, stats=stats, with_total=len(files) > 1)
        console.write(rows)
    failures: list[LlmcliError] = list({error.message: error for error in unreadable.values()}.values())
    total = sum(one.tokens for one in counts)
    if most is not None and total > most:
        failures.append(CheckError(f"{total:,} tokens, more than --max {most:,}"))
    for failure in failures[:-1]:
        console.show_error(failure)
    if failures:
        raise failures[-1]


def _tallies(found: Iterable[BatchCount], *, with_chars: bool) -> Iterator[tuple[int, int, int]]:
    """Tokens, bytes and characters of each text; 0 characters where nobody asks for them."""
    n_tokens = n_bytes = n_chars = 0
    for part in found:
        n_tokens += part.n_ids
        n_bytes += len(part.batch.data)
        if with_chars:
            n_chars += len(part.batch.data.decode("utf-8", "surrogateescape"))
        if part.batch.ends:
            yield n_tokens, n_bytes, n_chars
            n_tokens = n_bytes = n_chars = 0
