"""`llmcli tokenize` and `llmcli detokenize`: text to ids, and back."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from llmcli.cli import views
from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.open import open_tokenizer, read_input
from llmcli.cli.options import ChatTemplateKwargs, ChatTemplateRef, ModelRef, TokenizerRef, template_kwargs

FORMATS = ("table", "ids", "list", "lines", "json", "jsonl")


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
            help="Default: a table on a terminal, ids in a pipe.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    parse_special: Annotated[
        bool,
        typer.Option(
            "--parse-special/--no-parse-special",
            help="Whether special tokens written in the text are special.",
        ),
    ] = True,
    bos: Annotated[
        bool | None,
        typer.Option("--bos/--no-bos", help="Put a BOS token first [default: as the model asks]."),
    ] = None,
    eos: Annotated[
        bool | None,
        typer.Option("--eos/--no-eos", help="Put an EOS token last [default: as the model asks]."),
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
    """Show the tokens of a text.

    The text is the arguments, files or stdin, byte for byte: no newline is added or taken.
    """
    asked = views.Asked(
        explain, tuple(compare or ()), verify, messages, chat_template, template_kwargs(chat_template_kwargs)
    )
    if asked:
        chosen = chosen_format(format, json, views.FORMATS, "table")
        opened = partial(open_tokenizer, console, model, tokenizer)
        views.show(
            console, asked, opened, text or (), file or (), views.Added(parse_special, bos, eos), chosen
        )
        return
    chosen = chosen_format(format, json, FORMATS, "table" if console.writes_terminal else "ids")
    from llmcli.render.tokens import PLAIN_FORMATS, Encoded, as_table

    records = read_input(console, text or (), file or ())
    with open_tokenizer(console, model, tokenizer) as vocabulary:
        for record in records:
            ids = vocabulary.encode(record, parse_special=parse_special, bos=bos, eos=eos)
            encoded = Encoded(vocabulary, record, ids)
            if chosen == "table":
                console.rich().print(as_table(encoded, colors=console.colors_output))
            else:
                console.write_raw(PLAIN_FORMATS[chosen](encoded))


def detokenize(
    console: Console,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="1 2 3 or [1, 2, 3]; - for stdin.")
    ] = None,
    model: ModelRef = None,
    tokenizer: TokenizerRef = None,
) -> None:
    """Turn token ids back into the bytes of the text.

    Nothing is added; the space that some vocabularies put before a text is taken off again. Without ids as
    arguments, they are read from stdin.
    """
    from llmcli.tokens.ids import parse_ids
    from llmcli.tokens.tokenizer import decode

    [given] = read_input(console, ids or (), ())
    wanted = parse_ids(given.decode("utf-8", "replace"))
    with open_tokenizer(console, model, tokenizer) as vocabulary:
        text = decode(vocabulary, wanted)
        console.write(text if not console.writes_terminal else text.decode("utf-8", "surrogateescape"))
        if console.writes_terminal and not text.endswith(b"\n"):
            console.write("\n")
