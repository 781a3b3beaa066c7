"""The shape that DESIGN.md promises, read from the source itself and from what a running program imports."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from llmcli import __version__

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llmcli"
FLOORS = [
    {"cli"},
    {"repl"},
    {"render"},
    {"chat", "probs", "models"},
    {"engine"},
    {"tokens"},
    {"gguf"},
    {"settings"},
    {"errors"},
]
"""From the top down: an import goes to a lower floor, or stays in its own room."""

TERMINAL_LIBRARIES = {"typer", "click", "rich", "prompt_toolkit"}
HEAVY = {
    "llama_cpp",
    "numpy",
    "tokenizers",
    "regex",
    "gigatoken",
    "prompt_toolkit",
    "huggingface_hub",
    "rich",
    "jinja2",
    "httpx",
    "requests",
}
QUESTIONS = {"exists", "is_file", "is_dir"}
"""pathlib's, which raise an error where something may not be looked at; `settings.there` has others."""
LONGEST_FILE = 330
SOURCES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """`cli/main.py` for a file of the package."""
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The room that a file belongs to: `cli`, `engine`, `errors`, ...; empty for the package itself."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first.startswith("__") else first


@cache
def tree(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """The full name of everything a file imports, at any depth, also for type checkers alone."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(room: str) -> int:
    """How far down a room lies, 0 for the top."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_is_on_a_floor() -> None:
    """No folder of the package stands outside the order of imports."""
    assert {room_of(path) for path in SOURCES} - {""} <= set().union(*FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    """A room imports itself and the floors below it: never its neighbours, never upwards."""
    room = room_of(path)
    for name in imported(path):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package != "llmcli" or target == room or target.startswith("__"):
            continue
        if room == "":
            assert path.name == "__main__.py", f"{name_of(path)} imports {name}"
        else:
            assert floor_of(room) < floor_of(target), f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_foreign_libraries_stay_in_their_rooms(path: Path) -> None:
    """Only engine/llama knows llama_cpp; only cli, repl and render know how a terminal is drawn."""
    libraries = {name.partition(".")[0] for name in imported(path)}
    if "llama_cpp" in libraries:
        assert path.is_relative_to(PACKAGE / "engine" / "llama")
    if room_of(path) not in ("cli", "repl", "render"):
        assert not libraries & TERMINAL_LIBRARIES


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if room_of(path) not in ("cli", "repl", "")], ids=name_of
)
def test_below_cli_and_repl_nothing_owns_the_terminal(path: Path) -> None:
    """No print, no input, no standard stream, no exit below the two rooms that own the terminal."""
    harmless = {"sys.modules", "sys.gettrace", "sys.settrace"}
    calls = {
        node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"print", "input", "exit", "quit", "breakpoint"}
    assert not {name for name in imported(path) if name.startswith("sys.")}
    attributes = {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    assert {name for name in attributes if name.startswith("sys.")} <= harmless
    assert not attributes & {"os._exit", "os.abort"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    """No file grows beyond what one can hold in the head, and each says at its head what it is for."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(tree(path))


def modules_after(arguments: list[str], **environ: str) -> set[str]:
    """The top-level modules that a run of llmcli has imported when it ends."""
    code = (
        "import sys\nfrom llmcli.cli.main import run\nsys.argv[1:] = sys.argv[2:]\n"
        "try:\n    run()\nfinally:\n"
        "    open(sys.orig_argv[3], 'w').write('\\n'.join({m.partition('.')[0] for m in sys.modules}))"
    )
    out = Path(environ.pop("OUT"))
    subprocess.run(
        [sys.executable, "-c", code, str(out), *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    return set(out.read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        pytest.param(["--version"], {}, id="version"),
        pytest.param(["--help"], {}, id="help"),
        pytest.param(["--show-completion", "bash"], {}, id="completion script"),
        pytest.param(["chat", "--help"], {}, id="chat help"),
        pytest.param(["probs", "-h"], {}, id="probs help"),
        pytest.param(["tokenize", "-h"], {}, id="tokenize help"),
        pytest.param(["vocab", "-h"], {}, id="vocab help"),
        pytest.param(["models", "list", "-h"], {}, id="models list help"),
        pytest.param(["models", "list"], {}, id="models list"),
        pytest.param(
            [],
            {"_LLMCLI_NAMES": "models"},
            id="completion",
        ),
    ],
)
def test_a_quick_answer_imports_nothing_heavy(
    arguments: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    """--help, --version and a completion request load no engine, no arrays, no terminal library."""
    modules = modules_after(arguments, OUT=str(tmp_path / "modules"), HOME=str(tmp_path), **environ)
    assert "llmcli" in modules
    assert not modules & HEAVY


def test_tokenize_imports_only_what_it_uses(tiny_model: Path, tmp_path: Path) -> None:
    """The ids of a short text in a pipe need no arrays, no table, no line editor, no second tokenizer."""
    modules = modules_after(["tokenize", "-m", str(tiny_model), "hello"], OUT=str(tmp_path / "modules"))
    assert "llama_cpp" in modules
    assert not modules & {"numpy", "rich", "prompt_toolkit", "tokenizers", "regex", "huggingface_hub"}


def test_an_answer_imports_only_what_it_uses(tiny_model: Path, tmp_path: Path) -> None:
    """A reply in a pipe needs neither arrays nor anything that draws on a terminal."""
    arguments = ["chat", "-m", str(tiny_model), "-p", "hello", "-n", "1", "--chat-template", "chatml"]
    modules = modules_after(arguments, OUT=str(tmp_path / "modules"))
    assert "llama_cpp" in modules
    assert not modules & {"numpy", "rich", "prompt_toolkit", "tokenizers", "regex", "huggingface_hub"}


def test_the_changelog_knows_the_version() -> None:
    """The newest release in CHANGELOG.md is the package's version."""
    headings = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[:1] == [__version__]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_fails_because_it_asks_what_is_there(source: Path) -> None:
    """Files are asked for by `settings.there`; the entries of a folder answer by themselves."""
    asked = [
        ast.unparse(call.func)
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in QUESTIONS
        and ast.unparse(call.func.value) not in ("entry", "os.path")
    ]
    assert asked == []
