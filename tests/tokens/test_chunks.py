"""A text in chunks, for any text, size and overlap."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from llmcli.errors import InputError
from llmcli.tokens.chunks import chunks, truncate
from llmcli.tokens.tokenizer import Tokenizer
from tests.tokens.conftest import Vocabularies

NAMES = ["tiny", "gpt-2", "llama-spm", "bert-bge", "falcon"]
texts = st.text(st.sampled_from("ab cd한漢𠀀🦙\n ▁"), max_size=60).map(str.encode) | st.binary(max_size=40)


def own_ids(tokenizer: Tokenizer, text: bytes) -> list[int]:
    """The ids of a text alone."""
    return tokenizer.encode(text, bos=False, eos=False)


def borders(text: bytes) -> set[int]:
    """The places between two characters; a byte that is no UTF-8 is one by itself."""
    sizes = [len(c.encode("utf-8", "surrogateescape")) for c in text.decode("utf-8", "surrogateescape")]
    return {0, *accumulate(sizes)}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=texts, size=st.integers(1, 12), overlap=st.integers(0, 11))
@example(data="a𠀀 hello world again".encode(), size=4, overlap=3)
@example(data=b"\x00\x03\x00\x80", size=2, overlap=1)
@example(data="one 𠀀𠀀𠀀 hello world again and again".encode(), size=8, overlap=7)
def test_they_cover_the_text_and_go_on(
    vocabularies: Vocabularies, name: str, data: bytes, size: int, overlap: int
) -> None:
    """Each begins and ends further on than the last, none is empty, and nothing lies between two.

    No character is cut in two. Where the vocabulary has no token for any of it, there is no chunk.
    """
    assume(overlap < size)
    try:
        found = list(chunks(vocabularies[name], data, own_ids(vocabularies[name], data), size, overlap))
    except InputError:
        return  # one character has more tokens than a chunk
    at = (0, 0)
    for number, chunk in enumerate(found):
        assert chunk.text == data[chunk.start : chunk.end]
        assert {chunk.start, chunk.end} <= borders(data)
        assert 0 < chunk.n_tokens <= size
        assert chunk.start <= at[1] < chunk.end
        assert chunk.start > at[0] or number == 0
        at = chunk.start, chunk.end
    assert at[1] == len(data) or not own_ids(vocabularies[name], data)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=texts, limit=st.integers(0, 20), tail=st.booleans())
@example(data="▁\u2003x".encode(), limit=3, tail=False)
def test_a_cut_text_is_an_end_of_it(
    vocabularies: Vocabularies, name: str, data: bytes, limit: int, tail: bool
) -> None:
    """What is left is the beginning or the end, in whole characters."""
    cut = truncate(vocabularies[name], data, own_ids(vocabularies[name], data), limit, tail=tail)
    assert data.endswith(cut) if tail else data.startswith(cut)
    assert (len(data) - len(cut) if tail else len(cut)) in borders(data)
