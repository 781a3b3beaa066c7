"""What may be done with a vocabulary's texts but giving them whole to llama.cpp: cut them, or be faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from llmcli.tokens.cuts import Cuts
from llmcli.tokens.tokenizer import SpecialToken, Tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from llmcli.gguf.header import Header
    from llmcli.tokens.building import Ahead
    from llmcli.tokens.fast import FastTokenizer


class GgufTokenizer(Tokenizer, Protocol):
    """A Tokenizer that is llama.cpp's reading of a GGUF file."""

    def header(self) -> Header:
        """The file's header."""
        ...

    def parsed_tokens(self, *, parse_special: bool) -> Sequence[SpecialToken]:
        """Every token that is looked for in a text before anything else, by its text."""
        ...

    def encode_array(self, text: bytes, *, parse_special: bool) -> NDArray[np.uint32]:
        """The text's own ids: no BOS, no EOS. Releases the GIL."""
        ...


@dataclass(frozen=True)
class Ways:
    """What may be done with a vocabulary's texts besides giving them to its tokenizer whole.

    Building the fast way takes time: it pays from `worth_building` bytes on.
    """

    cuts: Cuts | None = None
    build_fast: Callable[[], FastTokenizer | None] = lambda: None
    worth_building: int = 0
    in_helpers: bool = False
    """Whether it is better at work in processes of its own."""


def ways_of(
    tokenizer: GgufTokenizer, *, parse_special: bool, cache: Path | None = None, ahead: Ahead | None = None
) -> Ways:
    """What may be done with the texts of a GGUF file's vocabulary."""
    from llmcli.tokens.building import build, may_remember, worth_building
    from llmcli.tokens.definition import is_byte_level
    from llmcli.tokens.fast import FastTokenizer

    header = tokenizer.header()
    specials = tokenizer.parsed_tokens(parse_special=parse_special)
    # Waited for here: a thread is not there any more in a process that is forked.
    built = ahead.backend() if ahead else None

    def build_fast() -> FastTokenizer | None:
        backend = built or build(header, puts_space=tokenizer.adds_space_prefix, cache=cache)
        if backend is None:
            return None
        return FastTokenizer(backend, (s.text for s in specials), classes=is_byte_level(header))

    cuts = _cuts(tokenizer, header, specials)
    return Ways(cuts, build_fast, worth_building(tokenizer.n_tokens), in_helpers=may_remember(header))


def _cuts(tokenizer: GgufTokenizer, header: Header, specials: Sequence[SpecialToken]) -> Cuts | None:
    """The cuts of a vocabulary, by its kind; None where none is known to be safe."""
    model = header.metadata.get("tokenizer.ggml.model")
    if model in ("gpt2", "gemma4"):
        pre = "gemma4" if model == "gemma4" else str(header.metadata.get("tokenizer.ggml.pre", ""))
        return Cuts.of_bpe(pre, specials)
    if model == "bert":
        return Cuts.of_word_piece(specials)
    if model == "llama":
        tokens = [token.encode() for token in header.array("tokenizer.ggml.tokens")]
        newline = tokenizer.encode_array(b"\n", parse_special=False)
        return Cuts.of_sentence_piece(
            tokens, specials, puts_space=tokenizer.adds_space_prefix, newline_ids=len(newline)
        )
    return None
