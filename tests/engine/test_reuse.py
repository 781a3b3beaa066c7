"""A prompt keeps the ids that the cache already has for its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmcli.engine.llama.model import LlamaModel
from llmcli.engine.llama.vocabulary import LlamaVocabulary
from llmcli.engine.reuse import Cached

START, END = 481, 482

any_ids = st.lists(st.one_of(st.integers(0, 484), st.sampled_from([START, END])), max_size=30)


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Iterator[LlamaVocabulary]:
    """The tiny model's vocabulary: byte-level BPE, nothing added."""
    with LlamaModel(tiny_model, vocab_only=True) as model:
        yield model.vocabulary


@pytest.fixture(scope="module")
def spm(shared: Path) -> Iterator[LlamaVocabulary]:
    """A SentencePiece vocabulary, which puts a space before the text."""
    with LlamaModel(shared / "vocabs" / "ggml-vocab-llama-spm.gguf", vocab_only=True) as model:
        yield model.vocabulary


def reuse(cached: list[int], fresh: list[int], vocabulary: LlamaVocabulary) -> list[int]:
    return Cached(cached, vocabulary).reuse(fresh)


def spelled(vocabulary: LlamaVocabulary, *pieces: bytes) -> list[int]:
    """The ids whose pieces these are, however the tokenizer would cut their text."""
    ids = {vocabulary.piece(i): i for i in range(vocabulary.n_tokens)}
    return [ids[piece] for piece in pieces]


def text(vocabulary: LlamaVocabulary, ids: list[int]) -> bytes:
    return b"".join(map(vocabulary.piece, ids))


def test_a_reply_spelled_otherwise_keeps_its_ids(tiny: LlamaVocabulary) -> None:
    """The model wrote `the` letter by letter; read back it is one token, and still costs nothing."""
    prompt = [START, *tiny.encode(b"user\nhi"), END]
    reply = spelled(tiny, b"t", b"h", b"e", b" ", b"d", b"o", b"g")
    assert tiny.encode(b"the dog") != reply
    after = [END, *tiny.encode(b"\nmore")]
    fresh = [*prompt, *tiny.encode(b"the dog"), *after]
    assert reuse([*prompt, *reply], fresh, tiny) == [*prompt, *reply, *after]
    assert reuse([*prompt, *reply, END], fresh, tiny) == [*prompt, *reply, *after]


def test_a_reply_that_was_cut_off_keeps_what_is_cached(tiny: LlamaVocabulary) -> None:
    """The last token of a reply that met a limit is not in the cache; all before it is kept."""
    reply = [*spelled(tiny, b"t", b"h", b"e"), *tiny.encode(b" dog and weather")]
    fresh = [START, *tiny.encode(b"the dog and weather"), END]
    assert reuse([START, *reply[:-1]], fresh, tiny) == [START, *reply, END]
    assert reuse([START, *reply, *reply], fresh, tiny) == [START, *reply, END]
    split = spelled(tiny, b"t", b"h", b"e", b" ", b"d", b"o")
    assert reuse([START, *split], fresh, tiny) == [START, *reply, END], "up to where both have a token's end"


def test_a_reply_cut_inside_a_character_keeps_its_ids(tiny: LlamaVocabulary) -> None:
    """The half character is U+FFFD in the message; the bytes in the cache are as good."""
    half = [i for i in tiny.encode("한".encode()) if tiny.piece(i) in "한".encode()][:1]
    reply = [*spelled(tiny, b"t", b"h", b"e"), *half]
    read = shown(tiny, reply)
    assert read.endswith("\ufffd")
    assert reuse([START, *reply], [START, *tiny.encode(read.encode()), END], tiny) == [START, *reply, END]


def test_behind_a_message_that_was_changed(tiny: LlamaVocabulary) -> None:
    """What stands behind the first difference is spelled as in the cache, so that it can be moved."""
    odd = spelled(tiny, b"t", b"h", b"e")
    cached = [START, *tiny.encode(b"one"), END, *odd, END]
    fresh = [START, *tiny.encode(b"two"), END, *tiny.encode(b"the"), END]
    assert reuse(cached, fresh, tiny) == [START, *tiny.encode(b"two"), END, *odd, END]


def test_behind_a_turn_that_has_left(tiny: LlamaVocabulary) -> None:
    """Each stretch that stays is spelled as it was where it stood; the order tells two of the same apart."""
    the, odd = tiny.encode(b"the"), spelled(tiny, b"t", b"h", b"e")
    one, two, new = (tiny.encode(text) for text in (b"one", b"two", b"new"))
    cached = [START, *one, END, *the, END, START, *two, END, *odd, END]
    fresh = [START, *two, END, *the, END, START, *new, END, *the]
    assert reuse(cached, fresh, tiny) == [START, *two, END, *odd, END, START, *new, END, *the]


def test_special_tokens_are_borders(tiny: LlamaVocabulary) -> None:
    """The same text with other special tokens in it is another text."""
    odd = spelled(tiny, b"t", b"h", b"e")
    whole = tiny.encode(b"the")
    assert reuse([*odd, START], [*whole, END], tiny) == [*odd, END]
    assert reuse([*odd, START, *odd], [*whole, END, *whole], tiny) == [*odd, END, *odd]
    assert reuse([START, *odd], [*whole, START], tiny) == [*odd, START]
    assert reuse([*odd, *odd], [*whole, END, *whole], tiny) == [*odd, END, *whole]


def test_text_that_spells_a_special_token_is_none(tiny: LlamaVocabulary) -> None:
    """<|im_end|> written as text and the token of that name are not the same."""
    literal = tiny.encode(b"<|im_end|>", parse_special=False)
    assert reuse([END, 5], [*literal, 5], tiny) == [*literal, 5]
    assert reuse([*literal, 5], [END, 5], tiny) == [END, 5]


def test_the_tokenizers_own_space_is_left_out_of_account(spm: LlamaVocabulary) -> None:
    """SentencePiece reads `hello` back as ` hello`: the reply in the cache has no such space."""
    reply = spelled(spm, b"h", b"ello")
    read_back = spm.encode(b"hello there", bos=False)
    assert text(spm, read_back) == b" hello there"
    kept = reuse([1, *reply], [1, *read_back], spm)
    assert kept == [1, *reply, *read_back[1:]]
    spaced = spelled(spm, b" hel", b"lo")
    assert reuse([1, *spaced], [1, *read_back], spm) == [1, *spaced, *read_back[1:]]


@settings(max_examples=300, deadline=None)
@example([0, 0, 126, 480, 95], [0, 0, 126, 94])  # two second halves of characters, which both read U+FFFD
@given(any_ids, any_ids)
def test_says_what_fresh_says(tiny: LlamaVocabulary, cached: list[int], fresh: list[int]) -> None:
    """Whatever is cached: the same text, the same special tokens, and no less of the cache than before."""
    result = reuse(cached, fresh, tiny)
    assert shown(tiny, result) == shown(tiny, fresh)
    assert [i for i in result if i in (480, START, END)] == [i for i in fresh if i in (480, START, END)]
    assert common(cached, result) >= common(cached, fresh)


@settings(max_examples=200, deadline=None)
@given(any_ids, st.integers(0, 30))
def test_the_cache_itself_read_back_is_the_cache(tiny: LlamaVocabulary, cached: list[int], n: int) -> None:
    """A prompt that goes on from the text of the cache begins with all ids of the cache."""
    readable = [i for i in cached if i < 480]
    fresh = [*tiny.encode(text(tiny, readable), parse_special=False), END, *range(n)]
    if text(tiny, fresh[: len(fresh) - n - 1]) != text(tiny, readable):
        return  # bytes that are no UTF-8 do not come back
    assert reuse(readable, fresh, tiny) == [*readable, END, *range(n)]


def shown(vocabulary: LlamaVocabulary, ids: list[int]) -> str:
    return text(vocabulary, ids).decode("utf-8", "replace")


def common(a: list[int], b: list[int]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
