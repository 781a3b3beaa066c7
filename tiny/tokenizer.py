"""The vocabulary: byte-level BPE, trained on the corpus itself, with ChatML's special tokens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from corpus import Maker, Turn, load_subjects
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

N_VOCAB = 4000
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
ASKED = 0.1
"""What a token of a question counts in the loss, against one of a reply: it learns which words are akin."""
REPEATED = 4.0
"""And one that repeats what was said: to look that up is a skill that comes late, and only if it counts."""
SPECIAL = [END_OF_TEXT, START, END]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train(path: Path, seed: int = 1, conversations: int = 20_000) -> Tokenizer:
    """Train the vocabulary and write it to `path` (a tokenizer.json)."""
    maker = Maker(load_subjects(), seed)
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=N_VOCAB, special_tokens=SPECIAL, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    texts = (turn.text for _ in range(conversations) for turn in maker.conversation())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return tokenizer


class Encoded(NamedTuple):
    """A conversation's ids in ChatML.

    `learn` says for each id how much it counts that the model could have said it. `choices` holds for each
    reply where it begins, as the index of the last id before it, and what it was chosen from.
    """

    ids: list[int]
    learn: list[float]
    choices: list[tuple[int, tuple[str, ...]]]


def encode(tokenizer: Tokenizer, turns: list[Turn], cut: int | None = None) -> Encoded:
    """Encode a conversation; with a `cut`, its last turn has only its first so many tokens, and no end."""
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    newline = tokenizer.encode("\n").ids
    encoded = Encoded([], [], [])
    for turn in turns:
        head = [start, *tokenizer.encode(turn.role + "\n").ids]
        text = tokenizer.encode(turn.text)
        said = [*text.ids, end]
        tail = newline
        if turn is turns[-1] and cut is not None and cut < len(said):
            said, tail = said[:cut], []
        encoded.ids.extend([*head, *said, *tail])
        counts = [1.0 if turn.role == "assistant" else ASKED] * len(said)
        if turn.repeats:
            at = turn.text.index(turn.repeats)
            for n, (begin, over) in enumerate(text.offsets[: len(said)]):
                if over > at and begin < at + len(turn.repeats):
                    counts[n] = REPEATED
        encoded.learn.extend([0.0] * len(head) + counts + [0.0] * len(tail))
        if turn.choices:
            encoded.choices.append((len(encoded.ids) - len(said) - len(tail) - 1, turn.choices))
    return encoded


if __name__ == "__main__":
    train(Path(sys.argv[1]))
