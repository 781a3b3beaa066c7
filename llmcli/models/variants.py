"""Which file of a repository to fetch: by quantization, the parts of a split one together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from llmcli.errors import ModelError
from llmcli.gguf.parts import PART
from llmcli.models.found import quantization_in
from llmcli.models.hub import HubFile, Repository

PREFERRED = (
    *("Q4_K_M", "UD-Q4_K_XL", "Q4_K_S", "Q4_K_L", "Q4_K", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "MXFP4"),
    *("MXFP4_MOE", "Q5_K_M", "UD-Q5_K_XL", "Q5_K_S", "Q5_0", "Q5_1", "Q3_K_L", "Q3_K_M", "UD-Q3_K_XL"),
    *("Q6_K", "Q3_K_S", "IQ3_M", "Q8_0", "Q2_K", "IQ2_M", "BF16", "F16", "F32"),
)
"""What to take where nobody says: Q4_K_M, then what is nearest to it in size and quality."""


@dataclass(frozen=True)
class Variant:
    """A model of a repository: the files that belong together."""

    tag: str
    """What stands behind the colon of its name: the quantization, or the file's name."""
    stem: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def variants(repository: Repository) -> list[Variant]:
    """The models of a repository; image projectors and what else is no model by its name are left out."""
    stems: dict[str, list[HubFile]] = {}
    for file in sorted(repository.files, key=lambda file: file.name):
        path = PurePosixPath(file.name)
        if path.suffix.lower() != ".gguf" or any(word in path.name.lower() for word in ("mmproj", "imatrix")):
            continue
        part = PART.fullmatch(path.name)
        stem = part["stem"] if part else path.name[: -len(".gguf")]
        stems.setdefault(str(path.parent / stem), []).append(file)
    tags = {stem: quantization_in(PurePosixPath(stem).name) for stem in stems}
    shared = list(tags.values())
    return [
        Variant(tag if tag and shared.count(tag) == 1 else PurePosixPath(stem).name, stem, tuple(files))
        for (stem, files), tag in zip(stems.items(), tags.values(), strict=True)
    ]


def choose(repository: Repository, tag: str | None) -> Variant:
    """The model that `tag` names, by quantization or file; without one the first of PREFERRED.

    Raises ModelError that lists what there is.
    """
    there = variants(repository)
    if not there:
        raise ModelError(
            f"{repository.name} holds no GGUF file",
            hint="look for a repository whose name ends in GGUF, or convert the model with llama.cpp",
        )
    if tag is None:
        order = {name: number for number, name in enumerate(PREFERRED)}
        return min(there, key=lambda one: (order.get(one.tag.upper(), len(order)), one.size, one.tag))
    for name in (tag, f"UD-{tag}", f"{tag}.gguf"):
        for one in there:
            if name.casefold() in (one.tag.casefold(), f"{PurePosixPath(one.stem).name}.gguf".casefold()):
                return one
    raise ModelError(f"{repository.name} has no {tag}", hint=f"it has {_listed(there)}")


def _listed(there: Sequence[Variant]) -> str:
    return ", ".join(one.tag for one in sorted(there, key=lambda one: one.size))
