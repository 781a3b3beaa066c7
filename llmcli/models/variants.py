"""Which file of a repository to fetch: by quantization, the parts of a split one together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from llmcli.errors import ModelError
from llmcli.gguf.parts import part_in
from llmcli.models.found import distinct, quantization_in
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
    """What stands behind the colon of its name: the quantization, the file's name or its place."""
    stem: str
    """The file's place in the repository, without part and ending."""
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def variants(repository: Repository) -> list[Variant]:
    """The models of a repository.

    Image projectors and what else is no model by its name are left out, and split models that lack a part.
    """
    stems: dict[str, list[HubFile]] = {}
    counts: dict[str, int] = {}
    for file in sorted(repository.files, key=lambda file: file.name):
        path = PurePosixPath(file.name)
        if path.suffix.lower() != ".gguf" or any(word in path.name.lower() for word in ("mmproj", "imatrix")):
            continue
        part = part_in(path.name)
        stem = str(path.parent / (part.stem if part else path.name[: -len(".gguf")]))
        stems.setdefault(stem, []).append(file)
        counts[stem] = part.count if part else 1
    stems = {stem: files for stem, files in stems.items() if len(files) == counts[stem]}
    tags = distinct(list(stems), [quantization_in(PurePosixPath(stem).name) for stem in stems])
    return [Variant(tag, stem, tuple(files)) for tag, (stem, files) in zip(tags, stems.items(), strict=True)]


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
        asked = name.casefold()
        fits = [one for one in there if asked in (one.tag.casefold(), f"{_file_name(one)}.gguf".casefold())]
        if len(fits) == 1:
            return fits[0]
    raise ModelError(f"{repository.name} has no {tag}", hint=f"it has {_listed(there)}")


def _file_name(variant: Variant) -> str:
    return PurePosixPath(variant.stem).name


def _listed(there: Sequence[Variant]) -> str:
    return ", ".join(one.tag for one in sorted(there, key=lambda one: one.size))
