"""The vocabulary: byte-level BPE, trained on the corpus itself, with ChatML's special tokens."""

from __future__ import annotations

import sys
from pathlib import Path

from corpus import Maker, Turn, load_subjects
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

N_VOCAB = 2048
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
ASKED = 0.1
"""What a token of a question counts in the loss, against one of a reply: it learns which words are akin."""
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
    texts = (text for _ in range(conversations) for _, text in maker.conversation())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return tokenizer


def encode(tokenizer: Tokenizer, turns: list[Turn]) -> tuple[list[int], list[float]]:
    """A conversation's ids in ChatML, and for each how much it counts that the model could have said it."""
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    ids: list[int] = []
    learn: list[float] = []
    for role, text in turns:
        head = [start, *tokenizer.encode(role + "\n").ids]
        said = tokenizer.encode(text).ids
        newline = tokenizer.encode("\n").ids
        mine = role == "assistant"
        ids += [*head, *said, end, *newline]
        learn += [0.0] * len(head) + [1.0 if mine else ASKED] * (len(said) + 1) + [0.0] * len(newline)
    return ids, learn


if __name__ == "__main__":
    train(Path(sys.argv[1]))
