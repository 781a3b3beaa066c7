"""GGUF files in a folder: which are models, which belong together, which are left out, and why."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmcli.gguf.parts import together

DEEPEST = 8
"""Folders within folders; a store needs five."""

HALF_DOWNLOAD = re.compile(
    r"\.gguf\.(incomplete|part|partial|tmp|download|downloadInProgress|crdownload|aria2)$", re.I
)
QUANTIZATION = re.compile(
    r"(?:^|[-._])"
    r"((?:UD-)?(?:I?Q\d(?:_[0-9KSMLX]+|_NL|_XXS)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32))(?=$|[-._])",
    re.I,
)


@dataclass(frozen=True)
class Found:
    """A model on this machine."""

    name: str
    """What `-m` calls it: ``owner/repo:Q4_K_M``, ``llama3.2:1b``."""
    source: str
    """Whose store it lies in, a key of `sources.SOURCES`."""
    files: tuple[Path, ...]
    """The parts of a split model in order, or the one file."""
    size: int
    """Bytes of all files."""
    is_whole: bool = False
    """Whether the store itself makes sure that no file is cut short."""
    full_names: tuple[str, ...] = ()
    """``owner/repo:FILE``, also with the file's folder: what names it whatever else lies beside it."""

    @property
    def path(self) -> Path:
        """The file to load: llama.cpp finds the other parts beside the first."""
        return self.files[0]


@dataclass(frozen=True)
class LeftOut:
    """Something that a list of models does not show."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Group:
    """A model's files, before it has a name."""

    place: str
    """Where it lies below the folder that was searched: ``sub/Model-Q8_0``, without part and ending."""
    files: tuple[Path, ...]
    size: int

    @property
    def stem(self) -> str:
        """The name of the file, without the number of the part and the ending."""
        return self.place.rpartition("/")[2]

    @property
    def quantization(self) -> str | None:
        """The quantization that the name tells."""
        return quantization_in(self.stem)


def quantization_in(name: str) -> str | None:
    """The last quantization in a name, in capitals.

    >>> quantization_in("Llama-3.2-1B-Instruct-q4_k_m")
    'Q4_K_M'
    """
    found = QUANTIZATION.findall(name)
    return found[-1].upper() if found else None


def groups(folder: Path) -> Iterator[Group | LeftOut]:
    """The models in a folder and in the folders below it, and what looks like one and is none."""
    there: list[tuple[str, tuple[Path, int]]] = []
    for found in gguf_files(folder):
        if isinstance(found, LeftOut):
            yield found
        else:
            there.append((found[0].relative_to(folder).as_posix(), found))
    for one in together(there):
        if one.missing is None:
            files, sizes = zip(*one.files, strict=True)
            yield Group(one.stem, files, sum(sizes))
        else:
            yield LeftOut(folder / f"{one.stem}.gguf", f"part {one.missing} of {one.count} is missing")


def gguf_files(folder: Path) -> Iterator[tuple[Path, int] | LeftOut]:
    """The regular .gguf files below a folder with their sizes in bytes, in order of their names.

    Links to folders are followed once. What looks like an image projector by its name is none of ours.
    """
    seen: set[tuple[int, int]] = set()

    def walk(folder: Path, depth: int) -> Iterator[tuple[Path, int] | LeftOut]:
        try:
            there = folder.stat()
            if (there.st_dev, there.st_ino) in seen or depth > DEEPEST:
                return
            seen.add((there.st_dev, there.st_ino))
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except FileNotFoundError:
            yield LeftOut(folder, "no such folder")
            return
        except (OSError, ValueError) as error:
            yield LeftOut(folder, reason_of(error))
            return
        for entry in entries:
            path = folder / entry.name
            try:
                if entry.is_dir():
                    yield from walk(path, depth + 1)
                elif HALF_DOWNLOAD.search(entry.name):
                    yield LeftOut(path, "a half download")
                elif entry.name.lower().endswith(".gguf"):
                    yield _file(path, entry)
            except OSError as error:
                yield LeftOut(path, reason_of(error))

    yield from walk(folder, 0)


def reason_of(error: Exception) -> str:
    """Why something can't be read, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "a link to nothing"
    return (getattr(error, "strerror", None) or str(error)).lower()


def named(repo: str, siblings: Sequence[Group]) -> Iterator[tuple[str, Group]]:
    """The models of one repository, each with its name.

    `owner/repo:QUANT` where that tells them apart, else `owner/repo:FILE`, the folder before the file if
    need be; the repository's own where there is but one and its file names no quantization.
    """
    if len(siblings) == 1 and not siblings[0].quantization:
        yield repo, siblings[0]
        return
    labels = distinct([group.place for group in siblings], [group.quantization for group in siblings])
    for label, group in zip(labels, siblings, strict=True):
        yield f"{repo}:{label}", group


def distinct(places: Sequence[str], quantizations: Sequence[str | None] = ()) -> list[str]:
    """For each file the first of these that no other has: its quantization, its name, its place.

    >>> distinct(["a/Model-Q8_0", "a/Model-F16", "b/Model-F16"], ["Q8_0", "F16", "F16"])
    ['Q8_0', 'a/Model-F16', 'b/Model-F16']
    """
    names = [place.rpartition("/")[2] for place in places]
    levels: list[Sequence[str | None]] = [quantizations or [None] * len(places), names]
    counts = [Counter(level) for level in levels]
    found = []
    for number, place in enumerate(places):
        choices = ((level[number], count) for level, count in zip(levels, counts, strict=True))
        found.append(next((label for label, count in choices if label and count[label] == 1), place))
    return found


def _file(path: Path, entry: os.DirEntry[str]) -> tuple[Path, int] | LeftOut:
    if "mmproj" in path.name.lower():
        return LeftOut(path, "an image projector, which belongs to a model")
    size = entry.stat().st_size
    if not entry.is_file():
        return LeftOut(path, "not a regular file")
    if not size:
        return LeftOut(path, "the file is empty")
    return path, size
