"""From a stream of bytes to the texts in it: lines, JSON lines, NUL-terminated records, or the whole.

Memory stays bounded however long the stream is: blocks are read, cut into batches of whole records and
forgotten. A single record has to be in memory once, so there is a longest one.
"""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Iterator
from typing import BinaryIO

from llmcli.errors import InputError
from llmcli.tokens.batch import Batch
from llmcli.tokens.cuts import Cuts
from llmcli.tokens.tokenizer import to_bytes

BLOCK = 1 << 17
"""Bytes that are read and tokenized at once: large enough for the threads, small enough to wait for."""
LONGEST = 1 << 28
"""Bytes of the longest record among many: its ids and their text take several times as much."""
NEVER_IN_UTF8 = b"\xff"

Batches = Iterator[Batch | None]
"""None where the stream makes no progress: what was read so far should go out first."""


class Source:
    """A stream of bytes with a name, read as it comes."""

    def __init__(self, stream: BinaryIO, name: str, size: int = 0) -> None:
        """`size` is how many bytes it will have, as far as that is known."""
        self._stream, self.name, self.size = stream, name, size

    def blocks(self) -> Iterator[bytes]:
        """Its bytes as they come; an empty block where the next ones are not there yet."""
        read = getattr(self._stream, "read1", self._stream.read)
        while True:
            if self._waits():
                yield b""
                # Of a descriptor that other programs left non-blocking, read would say that it has ended.
                select.select([self._stream], [], [])
            try:
                block = read(BLOCK)
            except OSError as error:
                raise InputError(f"{self.name}: {error.strerror or error}") from None
            if not block:
                return
            yield block

    def _waits(self) -> bool:
        """Whether reading would wait; of a stream that can't be asked, no."""
        try:
            return not select.select([self._stream], [], [], 0)[0]
        except (OSError, ValueError):
            return False


def separated(source: Source, separator: bytes, longest: int = LONGEST) -> Batches:
    """The records that `separator` ends; a last one without its end counts.

    Raises InputError, naming the record, once more than `longest` bytes of one have been read.

    >>> batches = separated(Source(io.BytesIO(b"a\\n\\nb"), "stdin"), b"\\n")
    >>> [text for batch in batches for text in batch.texts()]
    [b'a', b'', b'b']
    """
    seq = n_held = 0
    held: list[bytes] = []
    for block in source.blocks():
        if not block:
            yield None
            continue
        first = block.find(separator)
        if n_held + (first if first >= 0 else len(block)) > longest:
            what = "line" if separator == b"\n" else "record"
            raise InputError(
                f"{source.name}, {what} {seq + 1}: longer than {longest >> 20} MiB",
                hint="the whole input as one text, without --lines, --jsonl and --null, may be of any length",
            )
        if first < 0:
            held.append(block)
            n_held += len(block)
            continue
        end = block.rfind(separator)
        data = b"".join([*held, block[:end]])
        held = [block[end + 1 :]]
        n_held = len(held[0])
        yield Batch(data, separator, seq=seq)
        seq += data.count(separator) + 1
    if rest := b"".join(held):
        yield Batch(rest, seq=seq)


def json_lines(
    source: Source, field: str, on_bad: Callable[[InputError], None], longest: int = LONGEST
) -> Batches:
    """The texts at `field` of the JSON objects, one a line; blank lines are none.

    `on_bad` gets the error of a line that can't be read, which names the line, and may raise it; else the
    line is left out, and its number with it. A line of more than `longest` bytes is an error in any case.
    """
    n_lines = seq = 0
    for batch in separated(source, b"\n", longest):
        if batch is None:
            yield None
            continue
        texts: list[bytes] = []
        for number, line in enumerate(batch.texts(), n_lines + 1):
            if not line.strip():
                continue
            try:
                texts.append(_text_of(line, field, f"{source.name}, line {number}"))
            except InputError as error:
                if texts:
                    yield _joined(texts, seq)
                seq += len(texts) + 1
                texts = []
                on_bad(error)
        n_lines += len(batch.texts())
        if texts:
            yield _joined(texts, seq)
            seq += len(texts)


def whole(source: Source, cuts: Callable[[], Cuts | None], size: int = BLOCK) -> Batches:
    """All of the stream as one record, in batches cut where no token is cut; in one where `cuts` gives none.

    `cuts` is only called for a stream that is worth cutting.
    """
    held = b""
    begins = True
    blocks: list[bytes] = []
    n_bytes = 0
    for block in source.blocks():
        blocks.append(block)
        n_bytes += len(block)
        if n_bytes <= size or (places := cuts()) is None:
            continue
        held = b"".join([held, *blocks])
        blocks, at = [], 0
        while (end := places.after(held, at + size)) is not None:
            yield Batch(held[at:end], begins=begins, ends=False)
            begins, at = False, end
        held = held[at:]
        # Where there is nothing to cut at, ever more is read before it is looked for again.
        n_bytes = 0 if at else -len(held)
    held = b"".join([held, *blocks])
    if held or begins:
        yield Batch(held, begins=begins)


def _joined(texts: list[bytes], seq: int) -> Batch:
    return Batch(NEVER_IN_UTF8.join(texts), NEVER_IN_UTF8, seq=seq)


def _text_of(line: bytes, field: str, where: str) -> bytes:
    """The text at `field` of a JSON object. Raises InputError naming `where`."""
    hint = "--on-error skip leaves such lines out"
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 at byte {error.start}", hint=hint) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}", hint=hint) from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: not a JSON object", hint=hint)
    text = record.get(field)
    if not isinstance(text, str):
        what = "is not a string" if field in record else "is missing"
        raise InputError(f"{where}: the field {field!r} {what}", hint=hint)
    return to_bytes(text, where)
