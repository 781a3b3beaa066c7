"""Streaming bytes to text: any split gives what all at once gives, and nothing is held back too long."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmcli.tokens.stream import TextStream


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces, cut at the given places (modulo its length)."""
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def streamed(pieces: list[bytes], stops: list[str]) -> tuple[str, str | None]:
    """All the text that a stream lets out, and the stop that ended it."""
    stream = TextStream(stops)
    text = "".join(stream.push(piece) for piece in pieces)
    return text + stream.finish(), stream.stopped


def first_stop(text: str, stops: list[str]) -> int | None:
    """Where the first stop string begins."""
    places = [text.find(stop) for stop in stops if stop and stop in text]
    return min(places, default=None)


few_letters = st.text("abx", max_size=4)
bytes_to_stream = st.one_of(
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("ab한🦙\n", max_size=40).map(str.encode),
    st.binary(max_size=40),
)
cuts = st.lists(st.integers(0, 200), max_size=20)


@given(bytes_to_stream, cuts)
@example("한국어 🦙👩‍👩‍👧".encode(), list(range(40)))
@example(b"\xed\xa0\x80\xff\xc3(", [1, 2, 3, 4, 5])
def test_without_stops_any_split_decodes_as_the_whole(data: bytes, at: list[int]) -> None:
    """Hangul, emoji and invalid bytes, cut anywhere, come out as Python decodes them at once."""
    assert streamed(split_at(data, at), []) == (data.decode("utf-8", "replace"), None)


@given(st.text("abx한\n", max_size=40), st.lists(few_letters, max_size=3), cuts)
def test_with_stops_any_split_ends_at_the_first(text: str, stops: list[str], at: list[int]) -> None:
    """The text up to the first stop string comes out, however tokens and stops overlap."""
    out, stopped = streamed(split_at(text.encode(), at), stops)
    place = first_stop(text, stops)
    if place is None:
        assert (out, stopped) == (text, None)
        return
    # A shorter stop inside a longer one may be seen before the longer one is complete.
    assert stopped in stops
    assert text.startswith(out + (stopped or ""))
    assert len(out) >= place
    assert not any(stop and stop in out for stop in stops)


@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=5), cuts)
def test_one_stop_ends_exactly_where_it_begins(text: str, stop: str, at: list[int]) -> None:
    """With a single stop string the text before its first occurrence comes out, and no more."""
    expected = text.split(stop)[0]
    assert streamed(split_at(text.encode(), at), [stop]) == (expected, stop if stop in text else None)


def test_characters_split_over_tokens() -> None:
    """Nothing of a character is shown before it is complete."""
    stream = TextStream()
    assert [stream.push(bytes([byte])) for byte in "한🦙".encode()] == ["", "", "한", "", "", "", "🦙"]
    assert stream.finish() == ""


def test_a_character_that_never_completes() -> None:
    """The rest of a cut-off character becomes one U+FFFD at the end."""
    stream = TextStream()
    assert stream.push("한".encode()[:2]) == ""
    assert stream.finish() == "\ufffd"


def test_a_stop_over_three_tokens() -> None:
    """What may be a stop is held back, and released when it turns out to be none."""
    stream = TextStream(["<end>"])
    assert [stream.push(p) for p in (b"a <e", b"n", b"x <en", b"d", b"> b")] == ["a ", "", "<enx ", "", ""]
    assert (stream.stopped, stream.finish(), stream.push(b"more")) == ("<end>", "", "")


def test_what_was_held_back_comes_at_the_end() -> None:
    """The beginning of a stop string that never completes is part of the reply."""
    stream = TextStream(["END"])
    assert (stream.push(b"an EN"), stream.finish(), stream.stopped) == ("an ", "EN", None)


@pytest.mark.parametrize("stop", ["ENDE" * 5, "\n\n"])
def test_only_what_may_be_a_stop_is_held_back(stop: str) -> None:
    """No text is withheld for longer than it can be the beginning of a stop string."""
    stream = TextStream([stop])
    for piece in (b"hello", b" ", b"world", b"."):
        assert stream.push(piece).encode() == piece


def test_the_cost_of_a_token_is_constant() -> None:
    """The last thousand of 100,000 tokens cost no more than a few times the first thousand."""

    def seconds(n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            stream.push(b"stop sto ")
        return time.perf_counter() - start

    stream = TextStream(["stop here", "another"])
    first = min(seconds(1000) for _ in range(3))
    seconds(100_000)
    assert min(seconds(1000) for _ in range(3)) < 5 * first
