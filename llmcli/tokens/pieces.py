"""How a tokenizer.json's vocabulary spells bytes, and the bytes that a token stands for.

A vocabulary holds text, and a token may be part of a character. So each family has a spelling of its own:

    "ĠÐ"      byte-level BPE: a character for each byte (GPT-2's table)
    "▁the"    Metaspace: ▁ for a space
    "<0xE2>"  byte fallback: a single byte
    "##ing"   WordPiece: goes on with a word; without the sign, it begins one
    "low</w>" BPE with an end of word
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

SPACE_SIGN = "\u2581"
_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


@cache
def byte_characters() -> Mapping[str, int]:
    """GPT-2's table: the character for each byte. Printable ones stand for themselves, the rest follow 255.

    >>> byte_characters()["Ġ"], byte_characters()["A"]
    (32, 65)
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(rest)}


def from_byte_characters(token: str) -> bytes:
    """The bytes that a token of a byte-level vocabulary spells.

    >>> from_byte_characters("Ġthe")
    b' the'
    """
    table = byte_characters()
    return b"".join(bytes([table[c]]) if c in table else c.encode() for c in token)


@dataclass(frozen=True)
class Spelling:
    """The spellings that a vocabulary uses, and what text a token without any sign begins or ends with."""

    byte_level: bool = False
    space_sign: str = ""
    byte_fallback: bool = False
    continues: str = ""
    ends_word: str = ""
    separates: bool = False
    """A token is a word, and words are written apart."""

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Spelling:
        """The spelling of a tokenizer.json, read from its components."""
        model = definition["model"]
        stages = [
            s for part in ("normalizer", "pre_tokenizer", "decoder") for s in _stages(definition.get(part))
        ]
        types = {stage.get("type") for stage in stages}
        signs = {stage.get("replacement") for stage in stages if stage.get("type") == "Metaspace"}
        if any(stage.get("type") == "Replace" and _replaces_sign(stage) for stage in stages):
            signs.add(SPACE_SIGN)
        decoder = {stage["type"]: stage for stage in _stages(definition.get("decoder")) if "type" in stage}
        prefix = decoder.get("WordPiece", {}).get("prefix") or model.get("continuing_subword_prefix")
        byte_level = "ByteLevel" in types
        kind = model.get("type")
        return cls(
            byte_level=byte_level,
            space_sign=next(iter(sorted(filter(None, signs))), ""),
            byte_fallback=bool(model.get("byte_fallback")) or "ByteFallback" in types,
            continues=prefix or ("##" if kind == "WordPiece" else ""),
            ends_word=decoder.get("BPEDecoder", {}).get("suffix") or model.get("end_of_word_suffix") or "",
            separates=kind in ("WordPiece", "WordLevel") and not byte_level and not signs,
        )

    def is_byte(self, token: str) -> bool:
        """Whether a token is the spelling of a single byte."""
        return self.byte_fallback and _BYTE.fullmatch(token) is not None

    def piece(self, token: str) -> bytes:
        """The bytes of a token, as the text has them.

        >>> Spelling(space_sign="▁").piece("▁the"), Spelling(continues="##", separates=True).piece("##ing")
        (b' the', b'ing')
        """
        if self.byte_fallback and (byte := _BYTE.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        if self.byte_level:
            return from_byte_characters(token)
        if self.continues and token.startswith(self.continues):
            return token.removeprefix(self.continues).encode()
        if self.ends_word and token.endswith(self.ends_word):
            token = token.removesuffix(self.ends_word) + " "
        if self.space_sign:
            token = token.replace(self.space_sign, " ")
        return (f" {token}" if self.separates else token).encode()


def _stages(component: Any) -> Iterator[Mapping[str, Any]]:
    """A component of a tokenizer.json, or the ones in it where it is a sequence."""
    if not isinstance(component, dict):
        return
    for name in ("normalizers", "pretokenizers", "decoders"):
        for stage in component.get(name) or ():
            yield from _stages(stage)
    yield component


def _replaces_sign(stage: Mapping[str, Any]) -> bool:
    """Whether a Replace turns spaces into ▁ or back."""
    pattern = stage.get("pattern")
    pattern = pattern.get("String") if isinstance(pattern, dict) else None
    return {pattern, stage.get("content")} == {" ", SPACE_SIGN}
