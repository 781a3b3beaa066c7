"""Which file of a repository to fetch: by quantization, the parts of a split one together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from llmcli.errors import ModelError
from llmcli.gguf.parts import together
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
    files = [file for file in repository.files if _is_model(PurePosixPath(file.name))]
    files.sort(key=lambda file: file.name)
    whole = [one for one in together((file.name, file) for file in files) if one.missing is None]
    tags = distinct(
        [one.stem for one in whole], [quantization_in(PurePosixPath(one.stem).name) for one in whole]
    )
    return [Variant(tag, one.stem, one.files) for tag, one in zip(tags, whole, strict=True)]


def _is_model(path: PurePosixPath) -> bool:
    name = path.name.lower()
    return name.endswith(".gguf") and "mmproj" not in name and "imatrix" not in name


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
