"""A model's vocabulary held against another tokenizer's, which is meant to be the same.

What goes wrong in practice when a model is converted: ids shifted by one, special tokens missing or of
another kind, another pre-tokenizer, a space before the text or none, BOS added or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmcli.tokens.compare import compare
from llmcli.tokens.search import Catalogue
from llmcli.tokens.tokenizer import Tokenizer

PROBE = (
    "The quick brown fox can't jump; it'll walk. HELLO World, iPhone15 costs $1,234.56 (or 20%)!\n"
    "  two spaces,\ttab\r\n\n\n    return x[0] += 1  # code\n"
    "Ünïcödé café naïve straße Ελληνικά Привет мир שלום مرحبا हिन्दी ไทย\n"
    "안녕하세요, 오늘 날씨가 좋네요. こんにちは世界。漢字と仮名 你好，世界！\n"
    "😀👩‍👩‍👧‍👦🇰🇷 ½ ² ① ﬁ … — “quotes” 12345678 0x1F https://example.org/a?b=c&d=e e\u0301 \u200b end "
).encode()
"""A text of many scripts, numbers, blanks and signs, on which tokenizers that differ differ."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same: which, in words, with an example."""

    what: str
    """size, ids, special tokens, bos, eos, space prefix, or encoding."""
    message: str
    example: str = ""


def verify(
    tokenizer: Catalogue, reference: Catalogue, text: bytes | None = None, *, parse_special: bool = True
) -> list[Difference]:
    """Every way in which `tokenizer` is not `reference`; `text` is what both encode, by default PROBE."""
    return [
        *_size(tokenizer, reference),
        *_ids(tokenizer, reference),
        *_special(tokenizer, reference),
        *_added(tokenizer, reference),
        *_space(tokenizer, reference),
        *_encoding(tokenizer, reference, PROBE if text is None else text, parse_special),
    ]


def _size(tokenizer: Tokenizer, reference: Tokenizer) -> Iterator[Difference]:
    ours, theirs = tokenizer.n_tokens, reference.n_tokens
    if ours != theirs:
        longer = tokenizer if ours > theirs else reference
        first = min(ours, theirs)
        yield Difference(
            "size",
            f"{ours:,} tokens here, {theirs:,} there",
            f"id {first} is {_shown(longer, first)} and only in {longer.name}",
        )


def _ids(tokenizer: Tokenizer, reference: Tokenizer) -> Iterator[Difference]:
    common = min(tokenizer.n_tokens, reference.n_tokens)
    other = [i for i in range(common) if _differ(tokenizer.piece(i), reference.piece(i))]
    if not other:
        return
    place = {reference.piece(i): i for i in reversed(range(reference.n_tokens))}
    moves = Counter(place[piece] - i for i in other if (piece := tokenizer.piece(i)) in place)
    moves.pop(0, None)
    shift, often = moves.most_common(1)[0] if moves else (0, 0)
    message = f"{len(other):,} of {common:,} ids stand for another piece"
    if often > 1 and often * 2 > len(other):
        message += f"; {often:,} of them are shifted: the piece of id n here is that of id n{shift:+d} there"
    first = other[0]
    yield Difference(
        "ids", message, f"id {first} is {_shown(tokenizer, first)} here, {_shown(reference, first)} there"
    )


def _special(tokenizer: Tokenizer, reference: Tokenizer) -> Iterator[Difference]:
    ours = {token.text: token.id for token in tokenizer.special_tokens()}
    theirs = {token.text: token.id for token in reference.special_tokens()}
    for mine, others, where in ((ours, theirs, "here"), (theirs, ours, "there")):
        only = sorted((token_id, text) for text, token_id in mine.items() if text not in others)
        if only:
            token_id, text = only[0]
            yield Difference(
                "special tokens",
                f"{len(only):,} special tokens only {where}",
                f"{_quoted(text)} is special only {where} (id {token_id})",
            )


def _added(tokenizer: Tokenizer, reference: Tokenizer) -> Iterator[Difference]:
    for what, ours, theirs in (
        ("bos", tokenizer.encode(b"", eos=False), reference.encode(b"", eos=False)),
        ("eos", tokenizer.encode(b"", bos=False), reference.encode(b"", bos=False)),
    ):
        if ours != theirs:
            place = "before" if what == "bos" else "behind"
            yield Difference(
                what,
                f"{what.upper()}: {_names(tokenizer, ours)} {place} every text here, "
                f"{_names(reference, theirs)} there",
            )


def _space(tokenizer: Tokenizer, reference: Tokenizer) -> Iterator[Difference]:
    if tokenizer.adds_space_prefix != reference.adds_space_prefix:
        where = ("here", "there") if tokenizer.adds_space_prefix else ("there", "here")
        yield Difference(
            "space prefix",
            f"a space is put before the text {where[0]}, not {where[1]}",
            f'"a" is {_joined(tokenizer, b"a")} here, {_joined(reference, b"a")} there',
        )


def _encoding(
    tokenizer: Tokenizer, reference: Tokenizer, text: bytes, parse_special: bool
) -> Iterator[Difference]:
    ours, theirs = (
        t.encode(text, parse_special=parse_special, bos=False, eos=False) for t in (tokenizer, reference)
    )
    if ours == theirs:
        return
    comparison = compare((tokenizer, reference), text, parse_special=parse_special)
    cut = [segment for segment in comparison.segments if segment.differs]
    if cut:
        first = cut[0]
        mine, others = (" | ".join(_quoted(token.piece) for token in tokens) for tokens in first.tokens)
        yield Difference(
            "encoding",
            f"the text is {len(ours):,} tokens here, {len(theirs):,} there; it is cut differently in "
            f"{len(cut):,} place{'' if len(cut) == 1 else 's'}: another pre-tokenizer, or other merges",
            f"{_quoted(first.text)} at byte {first.start} is {mine} here, {others} there",
        )
        return
    shorter = min(len(ours), len(theirs))
    at = next((n for n in range(shorter) if ours[n] != theirs[n]), shorter)
    named = [
        _named(t, ids[at]) if at < len(ids) else "missing"
        for t, ids in ((tokenizer, ours), (reference, theirs))
    ]
    yield Difference(
        "encoding",
        f"the text is cut in the same places, but its {len(ours):,} tokens have other ids",
        f"token {at} is {named[0]} here, {named[1]} there",
    )


def _differ(ours: bytes, theirs: bytes) -> bool:
    """Whether two pieces are not the same; an id that nothing stands for is no difference."""
    return bool(ours) and bool(theirs) and ours != theirs


def _names(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    return " ".join(_named(tokenizer, i) for i in ids) or "none"


def _named(tokenizer: Tokenizer, token_id: int) -> str:
    return f"{_shown(tokenizer, token_id)} ({token_id})"


def _joined(tokenizer: Tokenizer, text: bytes) -> str:
    ids = tokenizer.encode(text, bos=False, eos=False)
    return " | ".join(_shown(tokenizer, i) for i in ids)


def _shown(tokenizer: Tokenizer, token_id: int) -> str:
    return _quoted(tokenizer.piece(token_id))


def _quoted(piece: bytes) -> str:
    """A piece between quotes; bytes that are no UTF-8 as escapes."""
    text = piece.decode("utf-8", "backslashreplace")
    return f'"{text if len(text) <= 60 else text[:59] + "…"}"'
