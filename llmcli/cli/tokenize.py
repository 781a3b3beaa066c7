"""`llmcli tokenize`: text to tokens, one text or a stream of records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli import views
from llmcli.cli.console import Console
from llmcli.cli.cutting import Cutting, write_cut
from llmcli.cli.formats import chosen_format
from llmcli.cli.inputs import known_size, sources
from llmcli.cli.open import open_tokenizer
from llmcli.cli.options import (
    AsJson,
    ChatTemplateKwargs,
    ChatTemplateRef,
    ModelRef,
    ParseSpecial,
    TokenizerRef,
)
from llmcli.cli.streams import Added, Records, encoded, open_encoder, output
from llmcli.cli.template import template_kwargs
from llmcli.errors import UsageError

if TYPE_CHECKING:
    from llmcli.tokens.batch import BatchIds
    from llmcli.tokens.tokenizer import Tokenizer

FORMATS = ("table", "ids", "list", "lines", "pieces", "json", "jsonl", "npy", "bin")
NEED_FILE = ("npy", "bin")
SHOW_TEXT = ("table", "json")
"""Formats that show a record's text beside its ids."""


def tokenize(
    console: Console,
    text: Annotated[list[str] | None, typer.Argument(help="The text; - for stdin.")] = None,
    file: Annotated[
        list[str] | None, typer.Option("-f", "--file", metavar="FILE", help="Read a file (repeatable).")
    ] = None,
    model: ModelRef = None,
    tokenizer: TokenizerRef = None,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="Default: a table on a terminal, ids in a pipe. npy and bin need -o: load them with "
            "numpy.load(FILE) and numpy.fromfile(FILE, '<u2'), or '<u4' where the vocabulary has more than "
            "65536 tokens.",
        ),
    ] = None,
    json: AsJson = False,
    output_file: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to a file, not to stdout.")
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Every line is a text of its own.")] = False,
    jsonl: Annotated[
        str | None,
        typer.Option("--jsonl", metavar="FIELD", help="Every line is JSON, with a text at FIELD."),
    ] = None,
    null: Annotated[bool, typer.Option("-0", "--null", help="A NUL byte ends every text.")] = False,
    on_error: Annotated[
        str, typer.Option("--on-error", metavar="fail|skip", help="What to do with a line that is no record.")
    ] = "fail",
    parse_special: ParseSpecial = True,
    bos: Annotated[
        bool | None,
        typer.Option("--bos/--no-bos", help="Put a BOS token first [default: as the model asks]."),
    ] = None,
    eos: Annotated[
        bool | None,
        typer.Option("--eos/--no-eos", help="Put an EOS token last [default: as the model asks]."),
    ] = None,
    truncate: Annotated[
        str | None,
        typer.Option("--truncate", metavar="N", help="Print the text of the first N tokens, not the ids."),
    ] = None,
    tail: Annotated[bool, typer.Option("--tail", help="With --truncate: of the last N tokens.")] = False,
    chunk: Annotated[
        str | None,
        typer.Option("--chunk", metavar="N", help="Print the text in chunks of at most N tokens, as JSONL."),
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option("--overlap", metavar="K", help="Begin each chunk K tokens before the last one's end."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show why the text splits so.")] = False,
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", metavar="REF", help="The text under this tokenizer, too (repeatable)."),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            "--verify",
            metavar="TOKENIZER",
            help="Hold the vocabulary against this one's; exit 1 where they differ.",
        ),
    ] = None,
    messages: Annotated[
        str | None,
        typer.Option("--messages", metavar="FILE", help="Chat messages (JSON), in the model's template."),
    ] = None,
    chat_template: ChatTemplateRef = None,
    chat_template_kwargs: ChatTemplateKwargs = None,
) -> None:
    """Show the tokens of a text, or of every line of a file or stream.

    The text is the arguments, files or stdin, byte for byte: no newline is added or taken. With --lines,
    --jsonl or -0 it is a stream of texts: each leaves as soon as it is done, and memory stays small.
    """
    asked = views.Asked(
        explain, tuple(compare or ()), verify, messages, chat_template, template_kwargs(chat_template_kwargs)
    )
    records = Records.asked_for(lines=lines, field=jsonl, null=null, on_error=on_error)
    cutting = Cutting.asked_for(truncate, chunk, overlap, tail=tail)
    if asked:
        if records.are_many or cutting is not None or output_file is not None:
            raise UsageError(
                f"{asked.flags[0]} shows a whole text: it takes no -o, no records and no cutting"
            )
        chosen = chosen_format(format, json, views.FORMATS, "table")
        opened = partial(open_tokenizer, console, model, tokenizer)
        views.show(console, asked, opened, text or (), file or (), Added(parse_special, bos, eos), chosen)
        return
    if chat_template is not None or chat_template_kwargs is not None:
        raise UsageError("--chat-template goes with --messages FILE")
    chosen = _format(console, format, output_file, json=json, cuts=cutting is not None)
    streams = sources(console, text or (), file or ())
    added = Added(parse_special, *((bos, eos) if cutting is None else (False, False)))
    with open_encoder(console, model, tokenizer, added, known_size(file or ())) as (vocabulary, encoder):
        found = encoded(console, encoder, records, streams)
        if cutting is not None:
            n_added = len(vocabulary.encode(b"", bos=bos or False, eos=eos or False))
            with output(console, output_file) as write:
                write_cut(found, write, cutting, vocabulary, records.end, n_added)
        elif chosen in SHOW_TEXT:
            _show(console, found, vocabulary, chosen, output_file)
        else:
            _write_ids(console, found, vocabulary, chosen, output_file, records)


def _format(console: Console, asked: str | None, path: str | None, *, json: bool, cuts: bool) -> str:
    """The format asked for, or the usual one. Raises UsageError where it does not go with the rest."""
    usual = "table" if console.writes_terminal and path is None else "ids"
    chosen = chosen_format(asked, json, FORMATS, usual)
    if cuts and (asked or json):
        raise UsageError("--truncate and --chunk print text, not tokens: they take no --format")
    if chosen in NEED_FILE and path is None:
        raise UsageError(f"--format {chosen} needs -o FILE: it writes numbers, not text")
    if chosen == "table" and path is not None:
        raise UsageError("--format table is for the screen", hint="json says the same in a file")
    return chosen


def _show(
    console: Console, found: Iterator[BatchIds], vocabulary: Tokenizer, chosen: str, path: str | None
) -> None:
    """Each record with its text: as a table or as JSON."""
    from llmcli.render.tokens import Encoded, as_json, as_table
    from llmcli.tokens.batch import whole_records

    with output(console, path) as write:
        for _seq, text, ids in whole_records(found):
            shown = Encoded(vocabulary, text, ids.tolist())
            if chosen == "table":
                console.rich().print(as_table(shown, colors=console.colors_output))
            else:
                write(as_json(shown).encode())


def _write_ids(
    console: Console,
    found: Iterator[BatchIds],
    vocabulary: Tokenizer,
    chosen: str,
    path: str | None,
    records: Records,
) -> None:
    """The ids alone, batch by batch."""
    from llmcli.render import id_files
    from llmcli.render.id_text import text_of_ids
    from llmcli.tokens.batch import merged

    n_tokens = vocabulary.n_tokens
    header = partial(id_files.npy_header, n_tokens) if chosen == "npy" else None
    spell = id_files.as_numbers(n_tokens) if chosen in NEED_FILE else text_of_ids(chosen, vocabulary)
    # Its number of tokens stands before a record's ids.
    parts = found if chosen != "jsonl" or records.are_many else merged(found)
    with output(console, path, header) as write:
        for part in parts:
            write(spell(part))
