"""The grammar that a reply is kept to: given as GBNF or as a JSON schema, as text or as a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from llmcli.engine.llama.library import lib, log, part_of_llama_cpp, said_on_stderr
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.errors import InputError, UsageError
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import to_bytes

MOST_GRAMMAR_RULES = 2000
"""llama.cpp's parser recurses for each parenthesis and each rule, and dies where the stack ends."""
_LITERALS = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#[^\n]*')
"""What is no syntax in GBNF: strings, sets of characters, comments."""
_REPETITION = re.compile(r"\{\s*(\d+)\s*,\s*(\d+)\s*\}")


def grammar_sampler(vocabulary: LlamaVocabulary, options: SamplingOptions) -> Any:
    """llama.cpp's sampler of the grammar that the options ask for, None without any; to be freed.

    Raises UsageError for a grammar that does not parse, more than one of them or a schema that is none,
    InputError for a file that can't be read.
    """
    text = _text(options)
    if text is None:
        return None
    grammar = to_bytes(text, "the grammar")
    if max(grammar.count(b"("), grammar.count(b"::=")) > MOST_GRAMMAR_RULES:
        raise UsageError(
            "the grammar is too large",
            hint=f"at most {MOST_GRAMMAR_RULES:,} rules and parentheses can be parsed",
        )
    pointer = None
    log.lines.clear()
    with said_on_stderr() as said:
        if grammar.strip() and b"\0" not in grammar:  # C would take the one for none, and end at the other
            pointer = lib.llama_sampler_init_grammar(vocabulary.pointer, grammar, b"root")
    if not pointer:
        told = said().strip().partition("\n")[0].removeprefix("parse: error parsing grammar: ")
        if told.rstrip().endswith(" at"):  # then comes the rest of the grammar, which is nothing
            told = f"{told.rstrip()} its end"
        reason = told or log.reason() or "it is empty or has a NUL in it"
        raise UsageError(
            f"the grammar does not parse: {reason}",
            hint='it must be GBNF with a rule called root: root ::= "yes" | "no"',
        )
    return pointer


def _text(options: SamplingOptions) -> str | None:
    """The GBNF that the options ask for, None without any."""
    sources = {
        "--grammar": options.grammar,
        "--grammar-file": options.grammar_file,
        "--json-schema": options.json_schema,
        "--json-schema-file": options.json_schema_file,
    }
    given = [flag for flag, value in sources.items() if value is not None]
    if not given:
        return None
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} can't both be given", hint="a reply has one grammar")
    source = sources[given[0]]
    text = _read(source) if isinstance(source, Path) else str(source)
    grammar = _from_schema(text, given[0]) if "schema" in given[0] else text
    _check_repetitions(grammar, given[0])
    return grammar


def _check_repetitions(grammar: str, flag: str) -> None:
    """Refuse "at least 5 and at most 2": llama.cpp's parser counts down from one to the other, for ever."""
    for least, most in _REPETITION.findall(_LITERALS.sub("", grammar)):
        if int(most) < int(least):
            raise UsageError(f"{flag}: at least {least} and at most {most} times can't both be")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from None


def _from_schema(text: str, flag: str) -> str:
    json_schema_to_gbnf = part_of_llama_cpp("llama_grammar").json_schema_to_gbnf

    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{flag}: not JSON: {error}") from None
    try:
        return str(json_schema_to_gbnf(json.dumps(schema)))
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise UsageError(
            f"{flag}: no grammar can be made of this schema: {error}",
            hint='a schema is an object: {"type": "object", "properties": {...}}',
        ) from None
