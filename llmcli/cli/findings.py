"""What `llmcli doctor` finds: the machine, what is installed on it, and what does not go together."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llmcli import __version__
from llmcli.cli.console import Console
from llmcli.engine.machine import gpus, memory, processor, unused_features, way_to_a_gpu_build
from llmcli.engine.processors import cgroup_quota, usable_processors
from llmcli.errors import LlmcliError
from llmcli.models.names import locate
from llmcli.settings.config import config_file
from llmcli.settings.folders import cache_folder, config_folder, data_folder, state_folder
from llmcli.settings.model import choose_model
from llmcli.settings.there import exists, is_file, is_folder

PACKAGES = (
    "llama-cpp-python",
    "tokenizers",
    "gigatoken",
    "numpy",
    "typer",
    "rich",
    "prompt-toolkit",
    "jinja2",
    "huggingface-hub",
)
VARIABLES = ("LLMCLI_", "LLAMA_", "GGML_", "CUDA_", "HIP_", "HF_", "OLLAMA_", "OMP_", "NO_COLOR", "TERM")
"""How the names of environment variables begin that change what llmcli does."""

ASK_LLAMA_CPP = """\
import json
from llmcli.errors import EngineError
try:
    from llmcli.engine.llama.build import build_data
    found = build_data()
except EngineError as error:
    found = {"error": f"{error.message}; {error.hint}"}
print(json.dumps(found))
"""
PATIENCE = 30.0
"""Seconds for llama.cpp to load; the first use of a GPU may take some."""


def report(console: Console) -> dict[str, Any]:
    """Everything, section by section, ready for JSON."""
    build = _build()
    found_gpus = gpus()
    available, total = memory()
    found: dict[str, Any] = {
        "llmcli": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "llama_cpp": build,
        "processor": {
            "name": processor(),
            "unused_features": unused_features(build.get("features", {}).get("CPU", ())),
        },
        "gpus": [vars(gpu) for gpu in found_gpus],
        "threads": {
            "usable": usable_processors(),
            "machine": os.cpu_count(),
            "affinity": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "cgroup_quota": cgroup_quota(),
        },
        "memory": {"available": available, "total": total},
        "folders": {
            name: {"path": str(path), "exists": is_folder(path), "writable": _is_writable(path)}
            for name, path in _folders(console)
        },
        **_settings(console),
        "environment": sorted(name for name in console.environ if name.startswith(VARIABLES)),
    }
    found["problems"] = _problems(found)
    uses_gpu = any("GPU" in device["kind"] for device in build.get("devices", ()))
    found["gpu_build"] = None
    if found_gpus and not uses_gpu:
        found["gpu_build"] = way_to_a_gpu_build(found_gpus, _version("llama-cpp-python") or "")
    return found


def _build() -> dict[str, Any]:
    """The installed llama.cpp, asked in a process of its own: it may end it."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", ASK_LLAMA_CPP]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return found
    except subprocess.TimeoutExpired:
        return {"error": f"llama.cpp does not load within {PATIENCE:.0f} seconds"}
    except (OSError, ValueError, IndexError) as error:
        return {"error": f"llama.cpp can't be asked: {error}"}
    if done.returncode == -signal.SIGILL:
        return {"error": "this build of llama.cpp uses instructions that the processor does not have"}
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit {done.returncode}"]
    return {"error": f"llama.cpp does not load: {last[0]}"}


def _folders(console: Console) -> list[tuple[str, Path]]:
    environ = console.environ
    return [
        ("config", config_folder(environ)),
        ("data", data_folder(environ)),
        ("state", state_folder(environ)),
        ("cache", cache_folder(environ)),
    ]


def _settings(console: Console) -> dict[str, Any]:
    """The config file and the default model, or what is wrong with them."""
    config: dict[str, Any] = {"path": str(config_file(console.environ)), "error": None}
    configured, aliases = "", dict[str, str]()
    folders: Sequence[Path] = ()
    try:
        configured, aliases, folders = console.config.model, console.config.aliases, console.config.folders
    except LlmcliError as error:
        config["error"] = error.message
    path = choose_model(None, console.environ, configured, aliases).path
    with suppress(LlmcliError):  # a name that nothing is called by is shown as it is
        path = locate(str(path), console.environ, folders)
    there = is_file(path)
    model = {
        "path": str(path),
        "from": "LLMCLI_MODEL"
        if console.environ.get("LLMCLI_MODEL")
        else "file"
        if configured
        else "default",
        "size": path.stat().st_size if there else None,
    }
    return {"config": config, "model": model}


def _problems(report: dict[str, Any]) -> list[str]:
    """What somebody should look at, in sentences."""
    found = []
    if "error" in report["llama_cpp"]:
        found.append(report["llama_cpp"]["error"])
    if report["config"]["error"]:
        found.append(report["config"]["error"])
    if report["model"]["size"] is None:
        found.append(f"there is no default model at {report['model']['path']}")
    for name, folder in report["folders"].items():
        if not folder["writable"]:
            found.append(f"the {name} folder can't be written: {folder['path']}")
    return found


def _is_writable(path: Path) -> bool:
    """Whether something can be written there, once the folder is made."""
    there = next((folder for folder in (path, *path.parents) if exists(folder)), None)
    return there is not None and is_folder(there) and os.access(there, os.W_OK)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
