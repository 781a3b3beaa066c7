"""`llmcli vocab`: what a vocabulary holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.open import open_tokenizer
from llmcli.cli.options import AsJson, ModelRef, TokenizerRef
from llmcli.errors import LlmcliError

if TYPE_CHECKING:
    from llmcli.tokens.search import Entry

FORMATS = ("table", "tsv", "json", "jsonl")


def vocab(
    console: Console,
    query: Annotated[
        str | None, typer.Argument(help="An id, or a whole piece: 995, ' world' or Ġworld.")
    ] = None,
    grep: Annotated[
        str | None,
        typer.Option(
            "--grep",
            metavar="REGEX",
            help="Tokens with this in their piece; given up where it takes too long.",
        ),
    ] = None,
    special: Annotated[
        bool, typer.Option("--special", help="Control, unknown and user-defined tokens.")
    ] = False,
    byte: Annotated[bool, typer.Option("--byte", help="Tokens for single bytes.")] = False,
    unused: Annotated[bool, typer.Option("--unused", help="Tokens that stand for nothing.")] = False,
    model: ModelRef = None,
    tokenizer: TokenizerRef = None,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="Default: a table on a terminal, tsv in a pipe."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Search the vocabulary: id, piece, bytes, kind and score of each token.

    Without a QUERY or an option, all of it. What is asked for together has to hold together; of --special,
    --byte and --unused one is enough. Exits 1 when nothing is found.
    """
    chosen = chosen_format(format, json, FORMATS, "table" if console.writes_terminal else "tsv")
    kinds = [name for name, asked in (("special", special), ("byte", byte), ("unused", unused)) if asked]
    with open_tokenizer(console, model, tokenizer) as vocabulary:
        from llmcli.render.vocab import FORMATS as AS
        from llmcli.render.vocab import as_columns
        from llmcli.tokens.search import search

        found = _or_fail(search(vocabulary, query, grep, kinds), vocabulary.name)
        lines = as_columns(found, console.rich().width) if chosen == "table" else AS[chosen](found)
        for text in lines:
            console.write_raw(text)


def _or_fail(entries: Iterator[Entry], name: str) -> Iterator[Entry]:
    """The entries. Raises LlmcliError where there is none, before anything is written."""
    first = next(entries, None)
    if first is None:
        raise LlmcliError(
            f"no such token in the vocabulary of {name}",
            hint="--grep finds parts of pieces; a space belongs to the piece: ' the'",
        )
    return chain([first], entries)
