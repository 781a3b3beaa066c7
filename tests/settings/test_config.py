"""The config file: what it may say, and what is told of a mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcli.errors import InputError, UsageError
from llmcli.settings.chat import ChatOptions
from llmcli.settings.config import config_file, origins, read_config
from llmcli.settings.engine import EngineOptions
from llmcli.settings.option import build
from llmcli.settings.sampling import SamplingOptions


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home of its own."""
    return {"LLMCLI_HOME": str(tmp_path), "HOME": "/home/minho"}


def write(environ: dict[str, str], text: str | bytes) -> Path:
    """Make it the config file."""
    path = config_file(environ)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_no_file_says_nothing(environ: dict[str, str]) -> None:
    """Everything is as by default."""
    config = read_config(environ)
    assert not config.settings
    assert {origin.source for origin in origins(config, environ)} == {"default"}


def test_a_file_gives_values_to_the_groups_of_options(environ: dict[str, str]) -> None:
    """Numbers, texts, lists, switches; `_` is `-`; `~/` is the home folder; tables in any order."""
    write(
        environ,
        """\
model = "~/model.gguf"  # mine
sampling.temp = 0

[chat]
stats = true
[engine]
"ctx-size" = "auto"
n_gpu_layers = 3
tensor-split = [3, 1.5]
lora = ["~/a.gguf:0.5"]
[aliases]
"a.b" = "~/c.gguf"
[models]
folders = [
  "~/models",  # a comment
  "/srv",
]
""",
    )
    config = read_config(environ)
    assert config.model == "/home/minho/model.gguf"
    assert config.aliases == {"a.b": "/home/minho/c.gguf"}
    assert config.folders == (Path("/home/minho/models"), Path("/srv"))
    assert build(SamplingOptions, {}, config.of_group(SamplingOptions)) == SamplingOptions(temp=0.0)
    assert build(ChatOptions, {}, config.of_group(ChatOptions)).stats
    engine = build(EngineOptions, {"n_gpu_layers": "5"}, config.of_group(EngineOptions))
    assert engine == EngineOptions(
        n_gpu_layers=5, tensor_split=(3.0, 1.5), lora=((Path("/home/minho/a.gguf"), 0.5),)
    )


def test_where_a_value_comes_from(environ: dict[str, str]) -> None:
    """The environment comes before the file; an empty variable is none."""
    write(environ, 'model = "a"\n[sampling]\n\ntop-k = 7\n')

    def of(name: str, **more: str) -> tuple[object, str, int | None]:
        found = {str(o.key): o for o in origins(read_config(environ), environ | more)}[name]
        return found.value, found.source, found.line

    assert of("model") == of("model", LLMCLI_MODEL="") == ("a", "file", 1)
    assert of("model", LLMCLI_MODEL="b") == ("b", "LLMCLI_MODEL", None)
    assert of("sampling.top-k") == (7, "file", 4)
    assert of("sampling.top-p") == (0.95, "default", None)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = \n", 1, "invalid value, in a"),
        ("\n[sampling\n", 2, "expected ']'"),
        ("[sampling]\ntemp = 1\ntemp = 2\ntop-k = 1\n", 3, "cannot overwrite a value, in temp"),
        ("[sampling]\ntop-k = 1\ntop_k = 2\n", 3, "sampling.top-k: it is there twice"),
        ("[sampling]\n\ntop-p = 2\n", 3, "sampling.top-p: must be a number from 0 to 1"),
        (
            '[sampling]\nstop = ["a",\n"b"]\ntop-k = "x"\n',
            4,
            "sampling.top-k: must be a whole number from 0 up",
        ),
        ('x = """\n[sampling]\n"""\n', 1, "x: there is no such setting"),
        ("temp = 1\n", 1, "temp: there is no such setting"),
        ("sampling = 3\n", 1, "sampling: must be a table: [sampling]"),
        ("[engine]\nmlock = 1\n", 2, "engine.mlock: must be true or false"),
        ("[engine]\nthreads = true\n", 2, "engine.threads: must be a text or a number"),
        ("[engine]\nthreads = 2026-11-21\n", 2, "engine.threads: must be a text or a number"),
        ("[sampling]\ntemp = nan\n", 2, "sampling.temp: must be 0 or a number from 1e-06 up"),
        ('[sampling]\nstop = "a"\n', 2, 'sampling.stop: must be a list: ["a", "b"]'),
        ('[sampling]\ngrammar = "a"\n', 2, "sampling.grammar: there is no such setting"),
        ("[aliases]\na = 1.5\nb = {}\n", 3, "aliases.b: must be a text or a number"),
        ('model = ""\n', 1, "model: must not be empty"),
        ("x = " + "[" * 5000, 1, "nested too deeply"),
        ("x = " + "1" * 5000, 1, "exceeds the limit"),
    ],
)
def test_a_mistake_is_told_with_line_and_key(
    environ: dict[str, str], text: str, line: int, words: str
) -> None:
    """Nothing of such a file is used."""
    path = write(environ, text)
    with pytest.raises(UsageError) as caught:
        read_config(environ)
    assert caught.value.message.startswith(f"{path}, line {line}: {words}")


def test_a_typing_error_gets_a_suggestion(environ: dict[str, str]) -> None:
    """By the name in another table, or a name like it."""
    for text, meant in [("temp = 1\n", "sampling.temp"), ("[engine]\nctxsize = 1\n", "engine.ctx-size")]:
        write(environ, text)
        with pytest.raises(UsageError) as caught:
            read_config(environ)
        assert meant in caught.value.hint


def test_bytes_that_are_no_text(environ: dict[str, str]) -> None:
    """Named with the line; the mark that some editors put before UTF-8 is no harm."""
    write(environ, b"model = 'a'\n# \xff\n")
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read_config(environ)
    write(environ, b"\xef\xbb\xbfmodel = 'a'\r\n")
    assert read_config(environ).model == "a"


def test_a_folder_in_its_place(environ: dict[str, str]) -> None:
    """A folder is no config file."""
    config_file(environ).mkdir(parents=True)
    with pytest.raises(InputError, match="the config file is a folder"):
        read_config(environ)
