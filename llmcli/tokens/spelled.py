"""Where a SentencePiece vocabulary's tokens stand in a text, also in one that is no UTF-8.

llama.cpp spells every space of a text as U+2581, three bytes, and then takes as many bytes for a character as
its first one says. Behind a first byte that lacks the others, that cuts a spelled space in pieces, and they
become tokens of single bytes. So tokens are followed through the spelled text; the first of a space's three
bytes stands for the space, the others for nothing.
"""

from __future__ import annotations

SPACE = "\u2581".encode()


def follow(text: bytes, at: int, inside: int, piece: bytes, *, fresh: bool) -> tuple[int, int] | None:
    """Where the text goes on behind a token's `piece`, and how many bytes of a spelled space are gone then.

    `at` and `inside` are the same before it; with `fresh` a space that is not in the text stands before
    it. None where the piece does not stand there.

    >>> follow(b"\\xed a", 0, 0, b"\\xed", fresh=False), follow(b"\\xed a", 1, 0, b"\\xe2", fresh=False)
    ((1, 0), (2, 1))
    """
    spelled = piece.replace(b" ", SPACE)
    if fresh and not inside:
        spelled = spelled.removeprefix(SPACE)
    for byte in spelled:
        if inside:
            if byte != SPACE[inside]:
                return None
            inside = (inside + 1) % len(SPACE)
        elif text[at : at + 1] == b" " and byte == SPACE[0]:
            at, inside = at + 1, 1
        elif text[at : at + 1] == bytes([byte]):
            at += 1
        else:
            return None
    return at, inside
