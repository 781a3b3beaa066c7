"""What `doctor` found, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmcli.render.safe import safe_line

WIDTH = 12


def as_text(report: Mapping[str, Any]) -> str:
    """A line a finding, problems last."""
    return "".join(f"{name:<{WIDTH}}  {safe_line(text)}\n" for name, text in _lines(report))


def size(n_bytes: int | None) -> str:
    """Bytes as a person says them: `1.5 GiB`; `unknown` where nobody knows.

    >>> size(3 << 29)
    '1.5 GiB'
    """
    if not n_bytes:
        return "unknown"
    return f"{n_bytes / (1 << 30):.1f} GiB" if n_bytes >= 1 << 30 else f"{n_bytes / (1 << 20):.1f} MiB"


def _lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "llmcli", f"{report['llmcli']}; {report['python']}; {report['system']}"
    versions = [f"{name} {found}" for name, found in report["packages"].items() if found]
    yield "packages", ", ".join(versions)
    missing = [name for name, found in report["packages"].items() if not found]
    if missing:
        yield "", f"not installed: {', '.join(missing)}"
    yield from _llama_cpp(report)
    threads, memory = report["threads"], report["memory"]
    limits = f"{threads['machine']} in the machine, {threads['affinity'] or 'no'} by affinity"
    quota = f", {threads['cgroup_quota']:g} by the cgroup's quota" if threads["cgroup_quota"] else ""
    yield "threads", f"{threads['usable']} ({limits}{quota})"
    yield "memory", f"{size(memory['available'])} of {size(memory['total'])} available"
    for name, folder in report["folders"].items():
        state = "" if folder["exists"] else " (not there yet)"
        yield name, folder["path"] + state
    config, model = report["config"], report["model"]
    yield "config file", config["path"] if not config["error"] else f"{config['path']} (see below)"
    origin = {"default": "nobody named another", "file": "from the config file"}
    named = origin.get(model["from"], f"from {model['from']}")
    yield "model", f"{model['path']} ({size(model['size'])}; {named})"
    if report["environment"]:
        yield "environment", ", ".join(report["environment"])
    if report["gpu_build"]:
        yield "GPU build", report["gpu_build"]
    for problem in report["problems"]:
        yield "PROBLEM", problem
    if not report["problems"]:
        yield "problems", "none"


def _llama_cpp(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The build, the processor, and the GPUs: what is there and what of it is used."""
    build, processor = report["llama_cpp"], report["processor"]
    yield "processor", processor["name"]
    for backend, features in build.get("features", {}).items():
        yield "", f"{backend} backend: {', '.join(features)}"
    if "features" in build and processor["unused_features"]:
        yield "", f"not used by this build: {', '.join(processor['unused_features'])}"
    usable = [device for device in build.get("devices", ()) if "GPU" in device["kind"]]
    for device in usable:
        yield (
            "GPU",
            f"{device['name']}: {device['description']}, {size(device['free'])} of {size(device['total'])} "
            f"free, through {device['backend']}",
        )
    if not usable:
        for gpu in report["gpus"]:
            yield "GPU", f"{gpu['name']}, {size(gpu['memory'])}: the installed llama.cpp can't use it"
        if not report["gpus"]:
            yield "GPU", "none found"
