"""A stream is cut into records without being held: not even one that never ends."""

from __future__ import annotations

import io

import pytest

from llmcli.errors import InputError
from llmcli.tokens.records import Source, json_lines, separated


class Endless(io.BytesIO):
    """A stream that says the same for ever, and counts what was taken of it."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__()
        self._beginning, self.taken = beginning, 0

    def read1(self, size: int | None = -1) -> bytes:
        """As much as is asked for."""
        assert size
        data = (self._beginning[self.taken :] + b"a" * size)[:size]
        self.taken += len(data)
        return data


@pytest.mark.parametrize(
    ("separator", "words"), [(b"\n", "big, line 3: longer than 3 MiB"), (b"\0", "big, record 3: longer than")]
)
def test_an_endless_record_is_refused(separator: bytes, words: str) -> None:
    """As soon as it is too long, by its number; what came before it is out."""
    stream = Endless(b"one" + separator + b"two" + separator)
    batches = separated(Source(stream, "big"), separator, 3 << 20)
    assert next(batch for batch in batches if batch).texts() == [b"one", b"two"]
    with pytest.raises(InputError, match=words):
        list(batches)
    assert stream.taken < 4 << 20


def test_an_endless_line_of_json() -> None:
    """The same where lines are JSON; there is nothing to leave out and go on behind."""
    stream = Endless(b'{"text": "a"}\n"')
    batches = json_lines(Source(stream, "big"), "text", lambda error: None, 1 << 20)
    with pytest.raises(InputError, match="big, line 2: longer than 1 MiB"):
        list(batches)


@pytest.mark.parametrize("size", [(1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 18])
def test_the_longest_record(size: int) -> None:
    """One of just that length is taken, with an end and without one; one byte more is refused."""
    for text in (b"a" * size, b"a" * size + b"\n", b"\n" + b"a" * size + b"\nb"):
        found = [
            t
            for batch in separated(Source(io.BytesIO(text), "x"), b"\n", size)
            if batch
            for t in batch.texts()
        ]
        assert found == text.removesuffix(b"\n").split(b"\n")
        with pytest.raises(InputError):
            list(separated(Source(io.BytesIO(text), "x"), b"\n", size - 1))
