"""Models: a list of them, as aligned columns, tab-separated or JSON, and one in every detail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from llmcli.gguf import types
from llmcli.gguf.header import Array, MetadataValue
from llmcli.gguf.memory import Memory
from llmcli.models.details import Details, TypeUse
from llmcli.models.find import Listed
from llmcli.models.hub import Repository
from llmcli.models.pull import Pulled
from llmcli.models.variants import Variant, variants
from llmcli.render.data import number, to_json
from llmcli.render.safe import safe_line

HEADINGS = ("name", "size", "quantization", "parameters", "context", "source")
RIGHT = (1, 3, 4)
"""The columns of figures."""

UNITS = ("KiB", "MiB", "GiB", "TiB")

FIGURES = {
    "layers": "block_count",
    "embedding": "embedding_length",
    "feed-forward": "feed_forward_length",
    "heads": "attention.head_count",
    "key/value heads": "attention.head_count_kv",
    "sliding window": "attention.sliding_window",
    "experts": "expert_count",
    "experts used": "expert_used_count",
}


def binary_size(n_bytes: float) -> str:
    """Bytes for people.

    >>> binary_size(1234567)
    '1.18 MiB'
    """
    if n_bytes < 1024:
        return f"{n_bytes:.0f} B"
    power = 1
    while n_bytes >= 1024 ** (power + 1) and power < len(UNITS):
        power += 1
    return f"{n_bytes / 1024**power:.3g} {UNITS[power - 1]}"


def in_billions(count: int) -> str:
    """A number of parameters for people.

    >>> in_billions(1235814432), in_billions(292800)
    ('1.24B', '293K')
    """
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def as_columns(models: Iterable[Listed]) -> Iterator[str]:
    """Columns for a terminal, measured in its cells, with a head."""
    from rich.cells import cell_len

    rows = [HEADINGS, *map(_row, models)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - cell_len(cell))
            cells.append(padding + cell if at in RIGHT else cell + padding)
        yield "  ".join(cells).rstrip() + "\n"


def as_tabs(models: Iterable[Listed]) -> Iterator[str]:
    """A line a model for other programs: the columns, sizes in bytes, empty where unknown, and the path."""
    for model in models:
        summary = model.summary
        values = (
            model.found.name,
            model.found.size,
            model.quantization,
            summary.parameters or summary.size_label,
            summary.context_length,
            model.found.source,
            model.found.path,
        )
        yield "\t".join("" if value is None else safe_line(str(value)) for value in values) + "\n"


def as_json(models: Iterable[Listed]) -> Iterator[str]:
    """One array."""
    yield to_json([_data(model) for model in models], indent=2)


def as_jsonl(models: Iterable[Listed]) -> Iterator[str]:
    """An object a line."""
    return (to_json(_data(model)) for model in models)


FORMATS: dict[str, Callable[[Iterable[Listed]], Iterator[str]]] = {
    "table": as_columns,
    "tsv": as_tabs,
    "json": as_json,
    "jsonl": as_jsonl,
}


def _row(model: Listed) -> tuple[str, ...]:
    summary = model.summary
    parameters = summary.size_label or "-"
    if summary.parameters is not None:
        parameters = in_billions(summary.parameters) if summary.parameters else "no weights"
    return (
        safe_line(model.found.name),
        binary_size(model.found.size),
        model.quantization or "-",
        safe_line(parameters),
        "-" if summary.context_length is None else f"{summary.context_length:,}",
        model.found.source,
    )


def _data(model: Listed) -> dict[str, Any]:
    return {
        "name": model.found.name,
        "path": str(model.found.path),
        "files": [str(path) for path in model.found.files],
        "size": model.found.size,
        "quantization": model.quantization,
        "architecture": model.summary.architecture,
        "parameters": model.summary.parameters,
        "size_label": model.summary.size_label,
        "context_length": model.summary.context_length,
        "source": model.found.source,
    }


def details_as_text(name: str, model: Details, memory: Memory) -> Iterator[str]:
    """Everything, in sections of aligned lines."""
    facts = [
        ("name", model.text("general.name")),
        ("architecture", model.architecture),
        ("parameters", f"{model.parameters:,} ({in_billions(model.parameters)})"),
        ("size", f"{binary_size(model.size)} in {_counted(len(model.files), 'file')}"),
        ("quantization", model.quantization),
        ("bits per weight", f"{model.bits_per_weight:.2f}" if model.bits_per_weight else None),
        ("license", model.text("general.license")),
        ("context", _thousands(model.figure("context_length"))),
        *((label, _thousands(model.figure(key))) for label, key in FIGURES.items()),
    ]
    yield f"{safe_line(name)}\n"
    yield from (f"  {safe_line(str(path))}\n" for path in model.files)
    yield from _section("model", facts)
    yield from _section("tensors", [(use.type, _use(use)) for use in model.types])
    vocabulary = [
        ("kind", model.text("tokenizer.ggml.model")),
        ("pre-tokenizer", model.text("tokenizer.ggml.pre")),
        ("tokens", f"{model.vocabulary_size:,}" if model.vocabulary_size else None),
        *((token.role, f"{token.id} {token.text or ''}") for token in model.special_tokens),
        ("chat template", _template(model.chat_template)),
    ]
    yield from _section("vocabulary", vocabulary)
    amounts = {
        "weights": memory.weights,
        "KV cache": memory.kv_cache,
        "state": memory.state,
        "compute buffers": memory.compute,
        "together": memory.total,
        "on the GPU": memory.on_gpu,
        "in use": memory.resident,
    }
    title = f"memory with a window of {memory.context_size:,} tokens"
    yield from _section(title, [(key, binary_size(size) if size else None) for key, size in amounts.items()])
    yield from _section("metadata", [(key, _shown(value)) for key, value in model.metadata.items()])


def details_as_data(name: str, model: Details, memory: Memory) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "name": name,
        "path": str(model.files[0]),
        "files": [str(path) for path in model.files],
        "size": model.size,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "quantization": model.quantization,
        "bits_per_weight": model.bits_per_weight,
        "types": [
            {"type": use.type, "tensors": use.tensors, "parameters": use.parameters, "bytes": use.bytes}
            for use in model.types
        ],
        "context_length": _plain(model.figure("context_length")),
        **{key.replace("attention.", ""): _plain(model.figure(key)) for key in FIGURES.values()},
        "vocabulary": {
            "model": model.text("tokenizer.ggml.model"),
            "pre": model.text("tokenizer.ggml.pre"),
            "size": model.vocabulary_size,
        },
        "special_tokens": {
            token.role: {"id": token.id, "text": token.text} for token in model.special_tokens
        },
        "chat_template": model.chat_template,
        "memory": {
            "context_size": memory.context_size,
            "weights": memory.weights,
            "kv_cache": memory.kv_cache,
            "state": memory.state,
            "compute": memory.compute,
            "total": memory.total,
            "on_gpu": memory.on_gpu,
            "resident": memory.resident,
        },
        "metadata": {key: _plain(value) for key, value in model.metadata.items()},
    }


def choice_as_text(repository: Repository, variant: Variant, *, asked: bool) -> str:
    """What is about to be fetched; where nobody `asked` for it, what else there is, by size."""
    text = f"{repository.name}:{variant.tag}, {binary_size(variant.size)}"
    if len(variant.files) > 1:
        text += f" in {len(variant.files)} files"
    others = sorted(variants(repository), key=lambda one: one.size)
    if not asked and len(others) > 1:
        text += f"\nthere are {', '.join(f'{one.tag} ({binary_size(one.size)})' for one in others)}"
    return "\n".join(safe_line(line) for line in text.split("\n"))


def pulled_as_data(pulled: Pulled) -> dict[str, Any]:
    """What was fetched, for JSON."""
    return {
        "name": pulled.name,
        "path": str(pulled.files[0]),
        "files": [str(path) for path in pulled.files],
        "size": pulled.variant.size,
        "downloaded": pulled.downloaded,
        "commit": pulled.repository.commit,
    }


def _section(title: str, rows: Sequence[tuple[str, str | None]]) -> Iterator[str]:
    """A title and its rows; those without a value are left out."""
    told = [(safe_line(label), safe_line(value)) for label, value in rows if value is not None]
    if told:
        yield f"\n{title}\n"
        width = max(len(label) for label, _ in told)
        yield from (f"  {label:<{width}}  {value}".rstrip() + "\n" for label, value in told)


def _use(use: TypeUse) -> str:
    return f"{_counted(use.tensors, 'tensor')}, {binary_size(use.bytes)}, {in_billions(use.parameters)}"


def _template(template: str | None) -> str | None:
    return None if template is None else f"{len(template):,} characters (--json shows it)"


def _shown(value: MetadataValue) -> str:
    """A value of the metadata on one line."""
    if isinstance(value, Array):
        kind = "texts" if value.type == types.STRING else "values"
        return f"{value.length:,} {kind}"
    text = str(value)
    return f"{text[:60]}... ({len(text):,} characters)" if len(text) > 80 else text


def _plain(value: MetadataValue | None) -> Any:
    if isinstance(value, Array):
        return {"array": value.length}
    return number(value) if isinstance(value, float) else value


def _thousands(value: float | str | None) -> str | None:
    return None if value is None else f"{value:,}" if not isinstance(value, str) else value


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
