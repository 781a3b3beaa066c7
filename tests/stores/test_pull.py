"""`llmcli models pull` from a hub that behaves: which files come, and under which names they are had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.stores.hub import COMMIT, FakeHub
from tests.stores.pulling import REPO, Puller


def test_a_quantization(pull: Puller, hub: FakeHub, tiny_model: Path) -> None:
    """The file lies in the hub's cache as huggingface_hub puts it there, and -m knows its name."""
    ran = pull(f"{REPO}:q8_0").succeeded()
    path = Path(ran.text.rstrip("\n"))
    assert path == pull.cache / f"models--someone--Model-GGUF/snapshots/{COMMIT}/Model-Q8_0.gguf"
    assert path.is_symlink() and path.read_bytes() == hub.files[REPO]["Model-Q8_0.gguf"]
    assert f"-m {REPO}:Q8_0" in ran.stderr
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(REPO, "Model-Q8_0.gguf", cache_dir=pull.cache)
    assert cached == str(path)
    counted = pull.program("count", "-m", f"{REPO}:Q8_0", stdin=b"hello", env=pull.environ)
    assert int(counted.succeeded().text) > 0


def test_the_nearest_to_q4_k_m(pull: Puller) -> None:
    """Without a quantization; and what else there is is said, projectors left out."""
    ran = pull(REPO).succeeded()
    assert ran.text.endswith("/Model-Q4_K_S.gguf\n")
    assert "\nthere are Q8_0 (" in ran.stderr
    for tag in ("Q8_0", "Q5_K_M", "F16"):
        assert f"{tag} (" in ran.stderr
    assert "mmproj" not in ran.stderr


def test_a_split_model(pull: Puller, tiny_model: Path) -> None:
    """All of its parts."""
    shown = pull(f"{REPO}:F16", "--json").succeeded().json
    assert [Path(file).name for file in shown["files"]] == [
        "Model-F16-00001-of-00002.gguf",
        "Model-F16-00002-of-00002.gguf",
    ]
    assert shown["size"] == shown["downloaded"] > 2 * tiny_model.stat().st_size
    assert shown["commit"] == COMMIT


def test_two_split_models_of_one_name(pull: Puller, hub: FakeHub, tiny_model: Path) -> None:
    """Each is whole by itself; parts of one don't make up for those of another."""
    names = [f"Big-Q4_0-0000{n}-of-00002.gguf" for n in (1, 2)]
    names += [f"Big-Q4_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    hub.files[REPO] = dict.fromkeys(names, tiny_model.read_bytes())
    shown = pull(f"{REPO}:Big-Q4_0-00001-of-00003", "--json").succeeded().json
    assert [Path(file).name for file in shown["files"]] == names[2:]
    assert pull.names == names[2:]
    del hub.files[REPO][names[1]], hub.files[REPO][names[4]]
    pull(f"{REPO}:Q4_0").failed(1, "holds no GGUF file")


def test_once_more(pull: Puller, hub: FakeHub) -> None:
    """What is there is not fetched again."""
    pull(f"{REPO}:Q8_0").succeeded()
    before = len(hub.ranges)
    assert "it was there already" in pull(f"{REPO}:Q8_0").succeeded().stderr
    assert len(hub.ranges) == before


def test_a_bar_on_a_terminal(pull: Puller, hub: FakeHub) -> None:
    """It is gone when it is done."""
    hub.breaks_off_after = 300_000
    with Terminal(pull.program, "models", "pull", f"{REPO}:Q8_0", env=pull.environ) as terminal:
        assert terminal.ends() == 0
        terminal.sees("downloaded; use it with")
    assert "━" in terminal.received.decode()
    assert "━" not in terminal.shown


@pytest.mark.parametrize("tag", ["Q2_K", "mmproj-Model-F16", "README"])
def test_no_such_quantization(pull: Puller, tag: str) -> None:
    """The error lists those that there are."""
    hint = pull(f"{REPO}:{tag}").failed(1, f"{REPO} has no {tag}").hint
    assert all(name in hint for name in ("Q4_K_S", "Q5_K_M", "Q8_0", "F16"))
    assert "mmproj" not in hint


def test_no_gguf(pull: Puller, hub: FakeHub) -> None:
    """A repository of something else."""
    hub.files["o/r"] = {"model.safetensors": b"x"}
    pull("o/r").failed(1, "o/r holds no GGUF file")


@pytest.mark.parametrize(
    ("others", "tag", "listed"),
    [
        (["Other-Q8_0.gguf"], "Model-Q8_0", "Q8_0"),
        (["b/plain.gguf"], "a/plain", ""),
    ],
)
def test_the_name_that_is_told(pull: Puller, hub: FakeHub, others: list[str], tag: str, listed: str) -> None:
    """What was pulled by its file's name is had by it, whatever the list calls it."""
    hub.files["o/r"] = dict.fromkeys([f"{tag}.gguf", *others], hub.files[REPO]["Model-Q8_0.gguf"])
    ran = pull(f"o/r:{tag}").succeeded()
    assert f"use it with -m o/r:{tag}" in ran.stderr
    assert pull(f"o/r:{tag}", command="path").succeeded().text == ran.text
    assert f"o/r{listed and ':' + listed}\t" in pull(command="list").succeeded().text


def test_files_of_one_name(pull: Puller, hub: FakeHub) -> None:
    """Neither is taken for the other."""
    hub.files["o/r"] = {"a/m.gguf": b"GGUF", "b/m.gguf": b"GGUF"}
    assert "a/m, b/m" in pull("o/r:m").failed(1, "o/r has no m").hint


def test_where_links_can_t_be(pull: Puller, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file itself has the name, is there once, and goes with it."""

    def refuse(*_: object) -> None:
        raise OSError(1314, "a required privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    path = Path(pull(f"{REPO}:Q8_0").succeeded().text.rstrip("\n"))
    assert not path.is_symlink() and path.read_bytes() == hub.files[REPO]["Model-Q8_0.gguf"]
    assert not list(pull.cache.glob("models--*/blobs/*"))
    assert "it was there already" in pull(f"{REPO}:Q8_0").succeeded().stderr
    pull("q8", "--yes", command="rm").succeeded()
    assert pull.names == []
