"""A text in chunks, for any text, size and overlap."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from llmcli.errors import InputError
from llmcli.tokens.chunks import chunks, truncate
from tests.tokens.conftest import Vocabularies

NAMES = ["tiny", "gpt-2", "llama-spm"]
texts = st.text(st.sampled_from("ab cd한漢𠀀🦙\n ▁"), max_size=60)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(text=texts, size=st.integers(1, 12), overlap=st.integers(0, 11))
@example(text="a𠀀 hello world again", size=4, overlap=3)
@example(text="one 𠀀𠀀𠀀 hello world again and again", size=8, overlap=7)
def test_they_cover_the_text_and_go_on(
    vocabularies: Vocabularies, name: str, text: str, size: int, overlap: int
) -> None:
    """Each begins and ends further on than the last, none is empty, and nothing lies between two."""
    assume(overlap < size)
    data = text.encode()
    try:
        found = list(chunks(vocabularies[name], data, size, overlap, parse_special=True))
    except InputError:
        return  # one character has more tokens than a chunk
    at = (0, 0)
    for number, chunk in enumerate(found):
        assert chunk.text == data[chunk.start : chunk.end]
        assert chunk.text.decode()
        assert 0 < chunk.n_tokens <= size
        assert chunk.start <= at[1] < chunk.end
        assert chunk.start > at[0] or number == 0
        at = chunk.start, chunk.end
    assert at[1] == len(data)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(text=texts, limit=st.integers(0, 20), tail=st.booleans())
@example(text="▁\u2003x", limit=3, tail=False)
def test_a_cut_text_is_an_end_of_it(
    vocabularies: Vocabularies, name: str, text: str, limit: int, tail: bool
) -> None:
    """What is left is the beginning or the end, in whole characters."""
    cut = truncate(vocabularies[name], text.encode(), limit, parse_special=True, tail=tail).decode()
    assert text.endswith(cut) if tail else text.startswith(cut)
