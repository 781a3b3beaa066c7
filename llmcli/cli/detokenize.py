"""`llmcli detokenize`: ids back to the bytes of the text."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.inputs import sources
from llmcli.cli.open import open_tokenizer
from llmcli.cli.options import ModelRef, TokenizerRef
from llmcli.errors import UsageError


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
    arguments, they are read from stdin: in any spelling, or as JSON objects with the ids at "ids",
    each a text of its own.
    """
    from llmcli.tokens.ids import parse_ids, read_ids
    from llmcli.tokens.tokenizer import decode

    for word in ids or ():
        if word.startswith("--") or (word.startswith("-") and word[1:2].isalpha()):
            raise UsageError(f"no such option: {word}", hint="'llmcli detokenize --help' lists the options")
    given = None if not ids or ids == ["-"] else parse_ids(" ".join(ids))
    with open_tokenizer(console, model, tokenizer) as vocabulary:
        text = b""
        records = read_ids(*sources(console, (), ())) if given is None else [given]
        for record in records:
            text = decode(vocabulary, record)
            console.write(text if not console.writes_terminal else text.decode("utf-8", "surrogateescape"))
            console.flush()
        if console.writes_terminal and not text.endswith(b"\n"):
            console.write("\n")
