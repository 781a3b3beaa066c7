"""Pulling from a hub on loopback that serves, stalls, breaks off, lies, and asks for a token."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmcli.models import hub as hub_room
from llmcli.models import pull as pulling
from tests.cli.program import Program, Ran
from tests.cli.terminal import Terminal
from tests.stores.hub import COMMIT, FakeHub
from tests.stores.places import hub_model

REPO = "someone/Model-GGUF"
TOKEN = "hf_averysecrettoken"


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[FakeHub]:
    """A hub with a repository of three quantizations, a split one, and an image projector."""
    data = tiny_model.read_bytes()
    names = ["Model-Q8_0.gguf", "Model-Q4_K_S.gguf", "Model-Q5_K_M.gguf", "mmproj-Model-F16.gguf"]
    names += [f"F16/Model-F16-0000{n}-of-00002.gguf" for n in (1, 2)]
    with FakeHub({REPO: {name: data + name.encode() for name in names}}).running() as hub:
        yield hub


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are given up soon, and tries follow each other at once."""
    monkeypatch.setattr(pulling, "PAUSE", 0.0)
    monkeypatch.setattr(hub_room, "PATIENCE", 0.3)


class Puller:
    """llmcli with that hub."""

    def __init__(self, home: Path, hub: FakeHub) -> None:
        self.program = Program(home)
        self.hub = hub
        self.cache = home / "hub"

    @property
    def environ(self) -> dict[str, str]:
        """Where the hub and its cache are."""
        return {
            "HF_ENDPOINT": self.hub.address,
            "HF_HUB_CACHE": str(self.cache),
        }

    def __call__(self, *args: str, command: str = "pull", **environ: str) -> Ran:
        """Run `llmcli models pull ARGS`."""
        return self.program("models", command, *args, env=self.environ | environ)

    @property
    def halves(self) -> list[Path]:
        """Half downloads in the cache."""
        return list(self.cache.rglob("*.incomplete"))

    @property
    def names(self) -> list[str]:
        """Files under their own names in the cache."""
        return sorted(path.name for path in self.cache.rglob("*.gguf"))


@pytest.fixture
def pull(tmp_path: Path, hub: FakeHub) -> Puller:
    """`llmcli models pull`, with a cache of its own."""
    return Puller(tmp_path, hub)


class TestServed:
    """What a hub that behaves gives."""

    def test_a_quantization(self, pull: Puller, hub: FakeHub, tiny_model: Path) -> None:
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

    def test_the_nearest_to_q4_k_m(self, pull: Puller) -> None:
        """Without a quantization; and what else there is is said, projectors left out."""
        ran = pull(REPO).succeeded()
        assert ran.text.endswith("/Model-Q4_K_S.gguf\n")
        assert "\nthere are Q8_0 (" in ran.stderr
        for tag in ("Q8_0", "Q5_K_M", "F16"):
            assert f"{tag} (" in ran.stderr
        assert "mmproj" not in ran.stderr

    def test_a_split_model(self, pull: Puller, tiny_model: Path) -> None:
        """All of its parts."""
        shown = pull(f"{REPO}:F16", "--json").succeeded().json
        assert [Path(file).name for file in shown["files"]] == [
            "Model-F16-00001-of-00002.gguf",
            "Model-F16-00002-of-00002.gguf",
        ]
        assert shown["size"] == shown["downloaded"] > 2 * tiny_model.stat().st_size
        assert shown["commit"] == COMMIT

    def test_two_split_models_of_one_name(self, pull: Puller, hub: FakeHub, tiny_model: Path) -> None:
        """Each is whole by itself; parts of one don't make up for those of another."""
        names = [f"Big-Q4_0-0000{n}-of-00002.gguf" for n in (1, 2)]
        names += [f"Big-Q4_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
        hub.files[REPO] = dict.fromkeys(names, tiny_model.read_bytes())
        shown = pull(f"{REPO}:Big-Q4_0-00001-of-00003", "--json").succeeded().json
        assert [Path(file).name for file in shown["files"]] == names[2:]
        assert pull.names == names[2:]
        del hub.files[REPO][names[1]], hub.files[REPO][names[4]]
        pull(f"{REPO}:Q4_0").failed(1, "holds no GGUF file")

    def test_once_more(self, pull: Puller, hub: FakeHub) -> None:
        """What is there is not fetched again."""
        pull(f"{REPO}:Q8_0").succeeded()
        before = len(hub.ranges)
        assert "it was there already" in pull(f"{REPO}:Q8_0").succeeded().stderr
        assert len(hub.ranges) == before

    def test_a_bar_on_a_terminal(self, pull: Puller, hub: FakeHub) -> None:
        """It is gone when it is done."""
        hub.breaks_off_after = 300_000
        with Terminal(pull.program, "models", "pull", f"{REPO}:Q8_0", env=pull.environ) as terminal:
            assert terminal.ends() == 0
            terminal.sees("Model-Q8_0.gguf")
        assert "━" in terminal.received.decode()
        assert "━" not in terminal.shown

    @pytest.mark.parametrize("tag", ["Q2_K", "mmproj-Model-F16", "README"])
    def test_no_such_quantization(self, pull: Puller, tag: str) -> None:
        """The error lists those that there are."""
        hint = pull(f"{REPO}:{tag}").failed(1, f"{REPO} has no {tag}").hint
        assert all(name in hint for name in ("Q4_K_S", "Q5_K_M", "Q8_0", "F16"))
        assert "mmproj" not in hint

    def test_no_gguf(self, pull: Puller, hub: FakeHub) -> None:
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
    def test_the_name_that_is_told(
        self, pull: Puller, hub: FakeHub, others: list[str], tag: str, listed: str
    ) -> None:
        """What was pulled by its file's name is had by it, whatever the list calls it."""
        hub.files["o/r"] = dict.fromkeys([f"{tag}.gguf", *others], hub.files[REPO]["Model-Q8_0.gguf"])
        ran = pull(f"o/r:{tag}").succeeded()
        assert f"use it with -m o/r:{tag}" in ran.stderr
        assert pull(f"o/r:{tag}", command="path").succeeded().text == ran.text
        assert f"o/r{listed and ':' + listed}\t" in pull(command="list").succeeded().text

    def test_files_of_one_name(self, pull: Puller, hub: FakeHub) -> None:
        """Neither is taken for the other."""
        hub.files["o/r"] = {"a/m.gguf": b"GGUF", "b/m.gguf": b"GGUF"}
        assert "a/m, b/m" in pull("o/r:m").failed(1, "o/r has no m").hint

    def test_where_links_can_t_be(self, pull: Puller, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
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


class TestBroken:
    """Connections that break, and what is kept."""

    def test_it_breaks_off_and_goes_on(self, pull: Puller, hub: FakeHub) -> None:
        """Within one run, from where it broke off, as often as it takes."""
        hub.breaks_off_after = 200_000
        pull(f"{REPO}:Q8_0").succeeded()
        assert hub.ranges[:3] == ["", "bytes=200000-", "bytes=400000-"]
        assert pull.names == ["Model-Q8_0.gguf"]

    @pytest.mark.parametrize("ignores_ranges", [False, True])
    def test_the_next_run_goes_on(self, pull: Puller, hub: FakeHub, ignores_ranges: bool) -> None:
        """What came before is kept, under no name that a model has; a hub without ranges sends all again."""
        hub.stalls_at = 200_000
        pull(f"{REPO}:Q8_0").failed(1, "does not answer")
        assert pull.names == []
        [half] = pull.halves
        assert half.stat().st_size == 200_000
        hub.stalls_at, hub.ignores_ranges = None, ignores_ranges
        ran = pull(f"{REPO}:Q8_0", "--json").succeeded()
        assert hub.ranges[-1] == "bytes=200000-"
        assert pull.halves == [] and pull.names == ["Model-Q8_0.gguf"]
        downloaded = ran.json["size"] - (0 if ignores_ranges else 200_000)
        assert ran.json["downloaded"] == downloaded

    def test_a_half_that_is_wrong(self, pull: Puller, hub: FakeHub) -> None:
        """Is found out by its hash, and not kept."""
        pull(f"{REPO}:Q8_0").succeeded()
        [blob] = (pull.cache / "models--someone--Model-GGUF/blobs").iterdir()
        blob.with_name(f"{blob.name}.incomplete").write_bytes(b"wrong" * 1000)
        blob.unlink()
        pull(f"{REPO}:Q8_0").failed(1, "SHA-256 differs")
        assert pull.halves == []
        pull(f"{REPO}:Q8_0").succeeded()

    def test_ctrl_c(self, pull: Puller, hub: FakeHub) -> None:
        """It stops at once, keeps what came, and says that it can go on."""
        hub.stalls_at = 200_000
        with Terminal(pull.program, "models", "pull", f"{REPO}:Q8_0", env=pull.environ) as terminal:
            terminal.waits(lambda: bool(pull.halves and pull.halves[0].stat().st_size), "bytes")
            terminal.interrupt()
            assert terminal.ends() == 130, terminal.shown
            assert "the same command goes on from here" in terminal.shown
        assert pull.halves


class TestLies:
    """A hub that says one thing and sends another."""

    def test_about_the_hash(self, pull: Puller, hub: FakeHub) -> None:
        """Nothing is kept under any name."""
        hub.claims_sha256 = "0" * 64
        pull(f"{REPO}:Q8_0").failed(1, "SHA-256 differs")
        assert not pull.names and not pull.halves

    @pytest.mark.parametrize("difference", [-1000, 1000])
    def test_about_the_size(self, pull: Puller, hub: FakeHub, difference: int) -> None:
        """More or fewer bytes than stated are no file."""
        hub.claims_size = len(hub.files[REPO]["Model-Q8_0.gguf"]) + difference
        pull(f"{REPO}:Q8_0").failed(1)
        assert pull.names == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"lfs": {"sha256": None, "size": 4, "pointerSize": 1}},
            {"lfs": {"sha256": "0" * 64}},
            {"size": "4"},
            {"size": -4},
            {"size": 4.5},
            {"size": None},
            {"rfilename": 5},
            {"rfilename": "a\nb.gguf"},
            {"rfilename": "a\0.gguf"},
            {"rfilename": "a-00001-of-00003.gguf"},
        ],
        ids=str,
    )
    def test_about_what_a_file_is(self, pull: Puller, hub: FakeHub, wrong: dict[str, Any]) -> None:
        """Such a file is none, and nobody's bug but the hub's."""
        lfs = {"sha256": "0" * 64, "size": 4, "pointerSize": 1}
        sibling = {"rfilename": "m.gguf", "size": 4, "blobId": "2" * 40, "lfs": lfs} | wrong
        hub.body = json.dumps({"id": "o/r", "sha": COMMIT, "siblings": [sibling]}).encode()
        ran = pull("o/r")
        assert ran.exit_status == 1
        assert "holds no GGUF file" in ran.error or "does not answer as a Hugging Face hub" in ran.error

    @pytest.mark.parametrize("body", [b'{"id": "o/r", "sha": 5}', b"[" * 100_000, b"[1]", b""], ids=len)
    def test_about_all_of_it(self, pull: Puller, hub: FakeHub, body: bytes) -> None:
        """What is no description of a repository is the error of whatever answers there."""
        hub.body = body
        pull("o/r").failed(1, "does not answer as a Hugging Face hub")

    def test_a_name_that_the_hub_allows_nobody(self, pull: Puller) -> None:
        """It is the name's error."""
        pull("o/r.git").failed(1, "o/r.git is no name that a repository may have")

    @pytest.mark.parametrize("name", ["../../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "..\\evil.gguf"])
    def test_about_names(self, pull: Puller, hub: FakeHub, name: str) -> None:
        """A file's name leads nowhere outside of the repository."""
        hub.files["o/r"] = {name: b"GGUF"}
        pull("o/r").failed(1, "holds no GGUF file")

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id": "o/r", "sha": "../.."}', b"7"])
    def test_about_being_a_hub(self, pull: Puller, hub: FakeHub, body: bytes) -> None:
        """A captive portal, say."""
        hub.body = body
        assert "HF_ENDPOINT" in pull("o/r").failed(1, "does not answer as a Hugging Face hub").hint


class TestRefused:
    """A hub that says no."""

    def test_a_private_repository(self, pull: Puller, hub: FakeHub) -> None:
        """HF_TOKEN opens it, goes to the hub alone, and is said nowhere."""
        hub.token = TOKEN
        hint = pull(f"{REPO}:Q8_0").failed(1, "or it is a private one").hint
        assert "HF_TOKEN" in hint
        wrong = pull(f"{REPO}:Q8_0", "--debug", HF_TOKEN="hf_wrongtoken")
        assert wrong.exit_status == 1 and "hf_wrongtoken" not in wrong.stderr
        ran = pull(f"{REPO}:Q8_0", "--debug", HF_TOKEN=TOKEN)
        assert ran.exit_status == 0 and TOKEN not in ran.stderr + ran.text
        [cdn] = [headers for path, headers in hub.requests if path.startswith("/cdn/")]
        assert "authorization" not in cdn

    @pytest.mark.parametrize(
        ("answer", "words", "hint"),
        [
            ((403, {"X-Error-Code": "GatedRepo"}), "is gated", "ask for access at http://127.0.0.1"),
            ((404, {"X-Error-Code": "RepoNotFound"}), "knows no repository", "check the name"),
            ((403, {}), "refuses access", "HF_TOKEN"),
            ((429, {"Retry-After": "30"}), "too many requests", "in 30 seconds"),
            ((429, {"Retry-After": "\x1b[31m"}), "too many requests", "try again later"),
            ((500, {}), "answers with an error (500)", "later"),
        ],
    )
    @pytest.mark.parametrize("where", ["/api/models/", "/resolve/"])
    def test_errors(
        self,
        pull: Puller,
        hub: FakeHub,
        where: str,
        answer: tuple[int, dict[str, str]],
        words: str,
        hint: str,
    ) -> None:
        """Each in words that help, for the repository and for a file; no address that is signed is said."""
        hub.answers[where] = answer
        ran = pull(f"{REPO}:Q8_0", "--debug", HF_TOKEN=TOKEN)
        assert ran.exit_status == 1
        assert words in ran.stderr
        assert hint in ran.stderr.splitlines()[-1]
        assert TOKEN not in ran.stderr and "s3cret" not in ran.stderr

    def test_nobody_there(self, pull: Puller) -> None:
        """No hub at all."""
        ran = pull(REPO, HF_ENDPOINT="http://127.0.0.1:9").failed(1, "127.0.0.1:9 can't be reached")
        assert "network" in ran.hint

    @pytest.mark.parametrize(
        "endpoint",
        ["ftp://x", "nonsense", "http://[::1", "http://x:99999", "http://u:s3cret@"],
    )
    def test_an_endpoint_that_is_none(self, pull: Puller, endpoint: str) -> None:
        """It is said, and nothing is asked."""
        ran = pull(REPO, HF_ENDPOINT=endpoint)
        assert ran.exit_status in (1, 2) and "HF_ENDPOINT" in ran.stderr
        assert "s3cret" not in ran.stderr

    @pytest.mark.parametrize("token", ["s3cret\nX: y", "s3cr\u00e9t"])
    def test_a_token_that_is_none(self, pull: Puller, token: str) -> None:
        """It is not sent, and not said."""
        ran = pull(REPO, HF_TOKEN=token).failed(2, "HF_TOKEN: holds characters that no token has")
        assert "s3cr" not in ran.stderr

    @pytest.mark.parametrize(
        "name", ["a/../b", "../x", "a", "a/b/c", "/a", "a/b:", "", "a b/c", "a/.b", "a--/c"]
    )
    def test_what_is_no_name(self, pull: Puller, hub: FakeHub, name: str) -> None:
        """It never reaches the hub."""
        pull(name).failed(2, "is no name of a repository")
        assert not hub.requests

    def test_no_room(self, pull: Puller, hub: FakeHub) -> None:
        """The disk is looked at before a byte is fetched."""
        hub.claims_size = 49 * 10**9
        free = shutil.disk_usage(pull.cache.parent).free
        if free > hub.claims_size:
            names = [f"Model-Q8_0-{n:05}-of-00099.gguf" for n in range(1, 100)]
            hub.files[REPO] = dict.fromkeys(names, b"GGUF")
        pull(f"{REPO}:Q8_0").failed(1, "bytes to download, but only")
        assert hub.ranges == []

    def test_a_cache_that_can_t_be_written(self, pull: Puller) -> None:
        """It is named."""
        pull.cache.write_text("a file")
        pull(f"{REPO}:Q8_0").failed(1, "can't write it")


class TestRm:
    """`models rm`."""

    def test_what_was_pulled(self, pull: Puller) -> None:
        """It goes, with the folders that are empty then; what other programs put there stays."""
        pull(f"{REPO}:Q8_0").succeeded()
        pull(f"{REPO}:F16").succeeded()
        ran = pull(f"{REPO}:F16", "--yes", command="rm").succeeded()
        assert "removed" in ran.stderr
        assert pull.names == ["Model-Q8_0.gguf"]
        pull("q8", "--yes", command="rm").succeeded()
        assert pull.names == []
        assert not list(pull.cache.glob("models--*/blobs/*"))

    def test_somebody_else_s(self, pull: Puller, tiny_model: Path) -> None:
        """It stays, and the error says who removes it."""
        hub_model(pull.cache, "o/r", {"m-Q8_0.gguf": tiny_model})
        assert "hf cache" in pull("o/r", "--yes", command="rm").failed(1, "was not pulled by llmcli").hint
        assert pull.names == ["m-Q8_0.gguf"]
        pull("tiny", "--yes", command="rm").failed(1, "was not pulled by llmcli")

    def test_links_to_somebody_else_s(self, pull: Puller, tiny_model: Path) -> None:
        """A link in llmcli's own folder goes, what it leads to stays; so does all behind a folder's link."""
        theirs = pull.cache.parent / "theirs"
        kept = theirs / "kept.gguf"
        theirs.mkdir()
        shutil.copyfile(tiny_model, kept)
        own = pull.cache.parent / "data/models"
        own.mkdir(parents=True)
        (own / "one.gguf").symlink_to(kept)
        (own / "all").symlink_to(theirs)
        assert "removed one: 0 B are free" in pull("one", "--yes", command="rm").succeeded().stderr
        pull("kept", "--yes", command="rm").failed(1, "was not pulled by llmcli")
        assert kept.exists() and list(own.iterdir()) == [own / "all"]

    def test_nobody_to_ask(self, pull: Puller) -> None:
        """Without a terminal it needs --yes."""
        pull(f"{REPO}:Q8_0").succeeded()
        pull("q8", command="rm").failed(2, "nobody is there to be asked")
        assert pull.names == ["Model-Q8_0.gguf"]

    @pytest.mark.parametrize(("answer", "left"), [("y", 0), ("", 1), ("n", 1)])
    def test_asked(self, pull: Puller, answer: str, left: int) -> None:
        """At a terminal only a yes is one."""
        pull(f"{REPO}:Q8_0").succeeded()
        with Terminal(pull.program, "models", "rm", "q8", env=pull.environ) as terminal:
            terminal.sees("[y/N]")
            terminal.line(answer)
            assert terminal.ends() == 0
        assert len(pull.names) == left
