"""What the commands that tokenize streams share: how texts are cut, encoded and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmcli.cli.console import Console
from llmcli.cli.open import open_tokenizer
from llmcli.engine.processors import usable_processors
from llmcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from llmcli.tokens.batch import Batch, BatchIds
    from llmcli.tokens.bulk import BulkEncoder
    from llmcli.tokens.records import Source
    from llmcli.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Added:
    """Which tokens are parsed and added, as the command line says."""

    parse_special: bool
    bos: bool | None
    eos: bool | None


@dataclass
class Records:
    """How a stream is cut into records: whole, by lines, by NUL bytes, or as JSON lines with a field."""

    separator: bytes | None = None
    json_field: str | None = None
    skips: bool = False
    skipped: int = field(default=0, init=False)

    @classmethod
    def asked_for(cls, *, lines: bool, field: str | None, null: bool, on_error: str) -> Records:
        """What the flags ask for. Raises UsageError where they contradict each other."""
        if lines + (field is not None) + null > 1:
            raise UsageError("--lines, --jsonl and --null can't be given together")
        if on_error not in ("fail", "skip"):
            raise UsageError(f"--on-error {on_error}: must be one of fail, skip")
        return cls(b"\n" if lines else b"\0" if null else None, field, on_error == "skip")

    @property
    def are_many(self) -> bool:
        """Whether a stream may hold several."""
        return self.separator is not None or self.json_field is not None

    @property
    def end(self) -> bytes:
        """What stands after a record, also where it is written: nothing after a whole stream."""
        return self.separator or (b"\n" if self.json_field is not None else b"")

    @property
    def memory(self) -> int:
        """Resident bytes that tokenizing them may take, of all processes together."""
        from llmcli.tokens.memory import FOR_STREAMS, FOR_WHOLE

        return FOR_STREAMS if self.are_many else FOR_WHOLE

    def read(self, sources: Iterator[Source], encoder: BulkEncoder) -> Iterator[Batch | None]:
        """The records of all sources, numbered through."""
        from llmcli.tokens.records import json_lines, separated, whole

        before = 0
        for source in sources:
            encoder.expect(source.size)
            if self.json_field is not None:
                batches = json_lines(source, self.json_field, self._bad)
            elif self.separator is not None:
                batches = separated(source, self.separator)
            else:
                batches = whole(source, encoder.cuts)
            last = None
            for batch in batches:
                if batch is not None:
                    last = batch = replace(batch, seq=before + batch.seq) if before else batch
                yield batch
            if last is not None:
                before = last.seq + last.n_texts

    def _bad(self, error: InputError) -> None:
        if not self.skips:
            raise error
        self.skipped += 1

    def tell_skipped(self, console: Console) -> None:
        """Say how many lines were left out."""
        if self.skipped:
            lines = "1 line was" if self.skipped == 1 else f"{self.skipped:,} lines were"
            console.note(f"notice: {lines} left out: no JSON object with a text at {self.json_field!r}")


@contextmanager
def open_encoder(
    console: Console, model: str | None, tokenizer: str | None, added: Added, n_bytes: int
) -> Iterator[tuple[Tokenizer, BulkEncoder]]:
    """The tokenizer that is named, and the fastest encoder there is for it.

    `n_bytes` of text are known to come: what pays for so many is made while the vocabulary is read.
    """
    from llmcli.settings.folders import cache_folder
    from llmcli.tokens.bulk import WORTH_FINDING, bulk_encoder, gguf_bulk_encoder

    special, bos, eos = added.parse_special, added.bos, added.eos
    cache = cache_folder(console.environ) / "tokenizers"
    ahead = None
    if n_bytes > WORTH_FINDING:
        from llmcli.tokens.building import Ahead

        ahead = Ahead(n_bytes, cache)
    with open_tokenizer(console, model, tokenizer, ahead.begin if ahead else None) as vocabulary:
        from llmcli.engine.llama.vocabulary import LlamaVocabulary

        yield (
            vocabulary,
            gguf_bulk_encoder(vocabulary, parse_special=special, bos=bos, eos=eos, cache=cache, ahead=ahead)
            if isinstance(vocabulary, LlamaVocabulary)
            else bulk_encoder(vocabulary, parse_special=special, bos=bos, eos=eos),
        )


def encoded(
    console: Console, encoder: BulkEncoder, records: Records, streams: Iterator[Source]
) -> Iterator[BatchIds]:
    """The ids of all records; says at the end how many were left out."""
    yield from encoder.run(records.read(streams, encoder), usable_processors(), records.memory)
    records.tell_skipped(console)


@contextmanager
def output(
    console: Console, path: str | None, header: Callable[[int], bytes] | None = None
) -> Iterator[Callable[[bytes], None]]:
    """The function that writes the answer: to stdout, at once, or to a file that appears when all is done."""
    if path is None:

        def write(data: bytes) -> None:
            console.write(data)
            console.flush()

        yield write
        return
    from llmcli.settings.new_file import new_file

    with new_file(Path(path), header) as write_to_file:
        yield write_to_file
