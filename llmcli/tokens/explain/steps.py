"""What an explanation is made of: from the text, over the words it is cut into, to the tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Merge:
    """Two neighbours become one. `at` is the place of the left one among the word's first symbols.

    `rank` is the merge's place in the list that training made (BPE), `score` the score of what
    comes out (SentencePiece).
    """

    at: int
    left: str
    right: str
    rank: int | None = None
    score: float | None = None


@dataclass(frozen=True)
class Choice:
    """A token, and the score that made it part of the best segmentation (Unigram)."""

    id: int
    piece: str
    score: float | None = None


@dataclass(frozen=True)
class Word:
    """A stretch of text that is tokenized by itself, in the vocabulary's own spelling.

    BPE begins with `symbols` and carries out the `merges`, the lowest rank (SentencePiece: the
    highest score) first. A word that is `whole` is itself a token and needs none.
    """

    text: str
    tokens: tuple[Choice, ...]
    symbols: tuple[str, ...] = ()
    merges: tuple[Merge, ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class Fragment:
    """A stretch of the text between special tokens, or one of them (`special` is its id then)."""

    text: str
    normalized: str
    words: tuple[Word, ...] = ()
    special: int | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a text splits as it does.

    `ids` are the engine's, and what the fragments end in. `algorithm` is bpe, sentencepiece, unigram or
    wordpiece; `pre_tokenizer` names the rule that cuts the text into words (empty: there is none). `begins`
    and `ends` are the ids put around it. Where the vocabulary can't be explained, `reason` says why, and
    there are no fragments.
    """

    algorithm: str
    pre_tokenizer: str
    ids: tuple[int, ...]
    begins: tuple[int, ...]
    fragments: tuple[Fragment, ...]
    ends: tuple[int, ...]
    reason: str = ""

    @property
    def explained_ids(self) -> list[int]:
        """The ids that the explanation ends in."""
        ids = list(self.begins)
        for fragment in self.fragments:
            ids += [fragment.special] if fragment.special is not None else []
            ids += [token.id for word in fragment.words for token in word.tokens]
        return [*ids, *self.ends]
