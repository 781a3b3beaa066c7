"""`tokenize --truncate` and `--chunk`: texts cut at a number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmcli.errors import UsageError
from llmcli.settings.values import integer

if TYPE_CHECKING:
    from llmcli.tokens.batch import BatchIds
    from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Cutting:
    """Cut a text after `size` tokens, once (`chunks` false) or again and again."""

    size: int
    chunks: bool
    overlap: int = 0
    tail: bool = False

    @classmethod
    def asked_for(
        cls, truncate: str | None, chunk: str | None, overlap: str | None, *, tail: bool
    ) -> Cutting | None:
        """What the flags ask for; None where they ask for nothing. Raises UsageError."""
        if truncate is not None and chunk is not None:
            raise UsageError("--truncate and --chunk can't both be given")
        if tail and truncate is None:
            raise UsageError("--tail goes with --truncate N")
        if overlap is not None and chunk is None:
            raise UsageError("--overlap goes with --chunk N")
        if truncate is not None:
            return cls(_number("--truncate", truncate, 0), chunks=False, tail=tail)
        if chunk is None:
            return None
        size, shared = _number("--chunk", chunk, 1), _number("--overlap", overlap or "0", 0)
        if shared >= size:
            raise UsageError(f"--overlap {shared}: must be less than --chunk {size}")
        return cls(size, chunks=True, overlap=shared)


def write_cut(
    found: Iterable[BatchIds],
    write: Callable[[bytes], None],
    cutting: Cutting,
    vocabulary: Tokenizer,
    end: bytes,
    n_added: int,
) -> None:
    """Write each record cut short, with `end` after it, or its chunks as JSONL.

    `found` has the ids without BOS and EOS; `n_added` is how many of the tokens asked for are these.
    """
    from llmcli.render.data import to_json
    from llmcli.tokens.batch import whole_records
    from llmcli.tokens.chunks import chunks, truncate

    size = max(0, cutting.size - n_added)
    seq = 0
    for _seq, text, ids in whole_records(found):
        if not cutting.chunks:
            write(truncate(vocabulary, text, ids.tolist(), size, tail=cutting.tail) + end)
            continue
        for chunk in chunks(vocabulary, text, ids.tolist(), size, cutting.overlap):
            row = {
                "seq": seq,
                "text": chunk.text.decode("utf-8", "replace"),
                "start": chunk.start,
                "end": chunk.end,
                "n_tokens": chunk.n_tokens,
            }
            write(to_json(row).encode())
            seq += 1


def _number(flag: str, text: str, low: int) -> int:
    try:
        value: int = integer(low)(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: {error}") from None
    return value
