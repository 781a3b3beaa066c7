"""All that a model's files say about it, put together: `llmcli models show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llmcli.gguf.header import Array, Header, MetadataValue, TensorInfo, read_header
from llmcli.gguf.parts import parts_of
from llmcli.gguf.types import FILE_TYPES, TENSOR_TYPES
from llmcli.models.found import quantization_in

SPECIAL = ("bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask", "cls")
"""As GGUF spells them in its keys."""
FILL_IN = ("fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep")

NO_ID = 2**32 - 1
"""Written where a model has no such token."""


@dataclass(frozen=True)
class TypeUse:
    """How much of a model is stored in one type."""

    type: str
    tensors: int
    parameters: int
    bytes: int


@dataclass(frozen=True)
class SpecialToken:
    """A token that the file names for a purpose."""

    role: str
    id: int
    text: str | None
    """None where the id lies outside the vocabulary."""


@dataclass(frozen=True)
class Details:
    """What a model's files say about it; None where they don't."""

    headers: tuple[Header, ...] = field(repr=False)
    """Of the parts of a split model in order."""
    types: tuple[TypeUse, ...]
    """The types in use, the largest share first."""
    vocabulary_size: int
    special_tokens: tuple[SpecialToken, ...]
    chat_template: str | None = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, the one to load first."""
        return tuple(header.path for header in self.headers)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(header.size for header in self.headers)

    @property
    def metadata(self) -> Mapping[str, MetadataValue]:
        """What the first file says."""
        return self.headers[0].metadata

    @property
    def architecture(self) -> str | None:
        """The name of the architecture, with which the keys of its figures begin."""
        return self.text("general.architecture")

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold."""
        return sum(use.parameters for use in self.types)

    @property
    def bits_per_weight(self) -> float | None:
        """Bytes of all tensors as bits, by the number of parameters."""
        total = sum(use.bytes for use in self.types)
        return 8 * total / self.parameters if self.parameters else None

    @property
    def quantization(self) -> str | None:
        """As the file's name has it, else as its metadata do."""
        told = quantization_in(self.files[0].name.removesuffix(".gguf"))
        file_type = self.metadata.get("general.file_type")
        return told or (FILE_TYPES.get(file_type) if isinstance(file_type, int) else None)

    def text(self, key: str) -> str | None:
        """A text of the metadata."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def figure(self, key: str) -> int | float | str | None:
        """A figure of the architecture: ``figure("block_count")`` is ``llama.block_count``."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if isinstance(value, (int, float, str)) else None


def details(path: Path) -> Details:
    """All that the file at `path` and, of a split model, the files beside it say.

    Raises GgufError for a file that is none, ModelError where a part is missing.
    """
    headers = tuple(read_header(part) for part in parts_of(path))
    first = headers[0]
    tensors = [tensor for header in headers for tensor in header.tensors]
    vocabulary = first.metadata.get("tokenizer.ggml.tokens")
    return Details(
        headers=headers,
        types=_types(tensors),
        vocabulary_size=vocabulary.length if isinstance(vocabulary, Array) else 0,
        special_tokens=_special_tokens(first),
        chat_template=_text_or_none(first.metadata.get("tokenizer.chat_template")),
    )


def _types(tensors: Sequence[TensorInfo]) -> tuple[TypeUse, ...]:
    by_type: dict[int, list[TensorInfo]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.type, []).append(tensor)
    uses = [
        TypeUse(
            TENSOR_TYPES[number].name if number in TENSOR_TYPES else f"type {number}",
            len(those),
            sum(tensor.n_elements for tensor in those),
            sum(tensor.n_bytes or 0 for tensor in those),
        )
        for number, those in by_type.items()
    ]
    return tuple(sorted(uses, key=lambda use: -use.bytes))


def _special_tokens(header: Header) -> tuple[SpecialToken, ...]:
    has_tokens = isinstance(header.metadata.get("tokenizer.ggml.tokens"), Array)
    tokens = header.array("tokenizer.ggml.tokens") if has_tokens else []
    found = []
    for role in (*SPECIAL, *FILL_IN):
        token_id = header.metadata.get(f"tokenizer.ggml.{role}_token_id")
        if isinstance(token_id, int) and token_id != NO_ID:
            inside = 0 <= token_id < len(tokens)
            found.append(SpecialToken(role, token_id, str(tokens[token_id]) if inside else None))
    return tuple(found)


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
