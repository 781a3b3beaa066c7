"""An explanation of a text's tokens, written for someone who sees one for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from textwrap import fill
from typing import TYPE_CHECKING

from llmcli.render.bars import ByWidth, Ragged
from llmcli.render.data import to_json, token_data
from llmcli.render.safe import safe_line
from llmcli.render.tokens import visible_piece
from llmcli.tokens.explain.steps import Choice, Explanation, Merge, Word
from llmcli.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE = 78
"""Characters of a line of prose."""
AROUND = 6
"""Symbols to show on each side of a merge."""

TITLES = {
    "bpe": "byte pair encoding (BPE)",
    "sentencepiece": "SentencePiece (BPE with scores)",
    "unigram": "Unigram (the most probable segmentation)",
    "wordpiece": "WordPiece (the longest match)",
}
RULES = {
    "bpe": (
        "Each word begins as single characters. Of all neighbours, the pair that stands first in the "
        "vocabulary's list of merges (the lowest rank) becomes one; then again, until no pair is in the list."
    ),
    "sentencepiece": (
        "The text begins as single characters. Of all neighbours that together are a token, those that make "
        "the token with the highest score become one; then again, until none are left. A character without "
        "a token is spelled by its bytes."
    ),
    "unigram": (
        "Each token has a score, the logarithm of how probable it is. Of all ways to cut the text into "
        "tokens, the one whose scores add up to the most is taken."
    ),
    "wordpiece": (
        "Each word is read from the left: the longest token that it begins with is taken, then the longest "
        "that the rest begins with, and so on. A word that can't be read to its end is one unknown token."
    ),
}


def as_json(explanation: Explanation, tokenizer: Tokenizer) -> str:
    """The whole explanation as one JSON object."""
    data = {
        "model": tokenizer.name,
        "algorithm": explanation.algorithm,
        "pre_tokenizer": explanation.pre_tokenizer or None,
        "explained": not explanation.reason,
        "reason": explanation.reason or None,
        "n_tokens": len(explanation.ids),
        "ids": list(explanation.ids),
        "begins": [_token(tokenizer, token_id) for token_id in explanation.begins],
        "fragments": [
            {
                "text": fragment.text,
                "special": None if fragment.special is None else _token(tokenizer, fragment.special),
                "normalized": _text(fragment.normalized),
                "words": [_word_data(tokenizer, word) for word in fragment.words],
            }
            for fragment in explanation.fragments
        ],
        "ends": [_token(tokenizer, token_id) for token_id in explanation.ends],
    }
    return to_json(data, indent=2)


def as_view(explanation: Explanation, tokenizer: Tokenizer) -> RenderableType:
    """Step by step: the text, the words, what happens in each, and the tokens that come out."""
    from rich.console import Group
    from rich.text import Text

    title = TITLES.get(explanation.algorithm, explanation.algorithm)
    step = count(1)
    parts: list[RenderableType] = [Text(f"How {safe_line(tokenizer.name)} splits this text: {title}", "bold")]
    texts = [fragment for fragment in explanation.fragments if fragment.special is None]
    if len(explanation.fragments) > len(texts):
        parts += [Text(), Text(f"{next(step)}. Special tokens are cut out first:")]
        parts.append(Text("   " + " | ".join(visible_piece(f.text.encode()) for f in explanation.fragments)))
    if any(fragment.text != fragment.normalized for fragment in texts):
        parts += [Text(), Text(f"{next(step)}. The vocabulary sees the text like this:")]
        parts += [Text(f"   {_shown(fragment.normalized)}") for fragment in texts]
    if explanation.pre_tokenizer:
        note = (
            f'{next(step)}. The pre-tokenizer "{safe_line(explanation.pre_tokenizer)}" cuts it into words; '
        )
        note += "no token reaches over a cut"
        byte_level = any("Ġ" in word.text for fragment in texts for word in fragment.words)
        note += ". Each byte is written as one character, a space as Ġ:" if byte_level else ":"
        parts += [Text(), _wrapped(note)]
        parts += [Text("   " + " | ".join(_shown(word.text) for word in f.words)) for f in texts]
    parts += [Text(), _wrapped(f"{next(step)}. {RULES.get(explanation.algorithm, '')}")]
    for word in (word for fragment in texts for word in fragment.words):
        parts += [Text(), *_word_view(word, explanation.algorithm, tokenizer)]
    parts += [Text(), *_ending(explanation, tokenizer)]
    return Group(*parts)


def _wrapped(text: str) -> RenderableType:
    """Prose in lines as long as the terminal allows."""
    from rich.text import Text

    def lines(width: int) -> Text:
        return Text(fill(text, min(LINE, width), subsequent_indent="   ", break_long_words=False))

    return ByWidth(lines)


def _word_view(word: Word, algorithm: str, tokenizer: Tokenizer) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    tokens = " ".join(f"{_named(token, tokenizer)} ({token.id})" for token in word.tokens)
    if word.whole:
        yield Text.assemble("   ", (_shown(word.text), "bold"), f"  is a token itself: {tokens}")
        return
    yield Text.assemble("   ", (_shown(word.text), "bold"))
    table = Table(box=None, pad_edge=False, show_header=False)
    if algorithm in ("bpe", "sentencepiece"):
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", min_width=10)
        for merge, symbols in _replayed(word):
            rated = f"rank {merge.rank}" if merge.rank is not None else f"score {merge.score:g}"
            table.add_row(Text(rated, "dim"), f"{_shown(merge.left)} + {_shown(merge.right)}", symbols)
    elif algorithm == "unigram":
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        for token in word.tokens:
            table.add_row(Text(f"{token.score or 0:.3f}", "dim"), _shown(token.piece))
        total = sum(token.score or 0 for token in word.tokens)
        table.add_row(f"{total:.3f}", "in all: no other segmentation scores more")
    if table.row_count:
        yield Ragged(Padding(table, (0, 0, 0, 6), expand=False))
    yield Text(f"      -> {tokens}")


def _named(token: Choice, tokenizer: Tokenizer) -> str:
    """A token in the vocabulary's spelling; one that stands for what has no spelling, by its name."""
    return visible_piece(tokenizer.piece(token.id)) if tokenizer.is_special(token.id) else _shown(token.piece)


def _replayed(word: Word) -> Iterator[tuple[Merge, str]]:
    """Each merge with the symbols around it after it has been made."""
    symbols = dict(enumerate(word.symbols))
    after = {at: at + 1 for at in symbols}
    before = {at: at - 1 for at in symbols}
    for merge in word.merges:
        right = after[merge.at]
        symbols[merge.at] = merge.left + merge.right
        del symbols[right]
        after[merge.at] = after[right]
        before[after[right]] = merge.at
        shown = [_shown(symbols[merge.at])]
        left_end = right_end = merge.at
        for _ in range(AROUND):
            if (left_end := before.get(left_end, -1)) in symbols:
                shown.insert(0, _shown(symbols[left_end]))
            if (right_end := after.get(right_end, -1)) in symbols:
                shown.append(_shown(symbols[right_end]))
        more_left = "… " if before.get(left_end, -1) in symbols else ""
        more_right = " …" if after.get(right_end, -1) in symbols else ""
        yield merge, more_left + " ".join(shown) + more_right


def _ending(explanation: Explanation, tokenizer: Tokenizer) -> Iterator[RenderableType]:
    from rich.text import Text

    if explanation.begins or explanation.ends:
        around = [visible_piece(tokenizer.piece(i)) for i in (*explanation.begins, *explanation.ends)]
        yield Text(f"Put around the text, as the vocabulary asks: {' '.join(around)}")
    n_tokens = len(explanation.ids)
    yield Text(
        f"{n_tokens} token{'' if n_tokens == 1 else 's'}: {' '.join(map(str, explanation.ids))}", "bold"
    )


def _word_data(tokenizer: Tokenizer, word: Word) -> dict[str, object]:
    merges = [{k: _text(v) for k, v in asdict(merge).items() if v is not None} for merge in word.merges]
    return {
        "text": _text(word.text),
        "whole": word.whole,
        "symbols": [_text(symbol) for symbol in word.symbols],
        "merges": merges,
        "tokens": [_choice(tokenizer, token) for token in word.tokens],
    }


def _choice(tokenizer: Tokenizer, choice: Choice) -> dict[str, object]:
    return {**_token(tokenizer, choice.id), "piece": _text(choice.piece), "score": choice.score}


def _token(tokenizer: Tokenizer, token_id: int) -> dict[str, object]:
    return token_data(token_id, tokenizer.piece(token_id))


def _text(value: object) -> object:
    """Text for JSON: what is left of bytes that were no UTF-8 becomes U+FFFD."""
    return _bytes(value).decode("utf-8", "replace") if isinstance(value, str) else value


def _shown(text: str) -> str:
    return visible_piece(_bytes(text))


def _bytes(text: str) -> bytes:
    """The bytes of an explanation's text, in which U+DC80 to U+DCFF stand for bytes that are no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that llama.cpp took for a character
        return text.encode("utf-8", "surrogatepass")
