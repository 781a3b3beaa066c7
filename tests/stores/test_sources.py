"""Models are found where other programs keep them, and what is no whole model is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gguf
import pytest

from llmcli.gguf.parts import parts_of
from llmcli.models.find import Listed, find, look
from llmcli.models.found import LeftOut, quantization_in
from llmcli.models.remembered import Remembered
from tests.models import make_model
from tests.stores.places import hub_model, ollama_model, place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home without any model."""
    return tmp_path


def names(home: Path, *folders: Path, **environ: str) -> dict[str, str]:
    """The names that are found, each with its source; the bundled model, which is always there, left out."""
    found, _ = find({"HOME": str(home), "LLMCLI_HOME": str(home / "llmcli")} | environ, folders)
    assert found[0].name == "tiny"
    return {model.name: model.source for model in found[1:]}


def left_out(home: Path, *folders: Path) -> dict[str, str]:
    """The names of files that are left out, each with the reason: by their place, or once they are read."""
    found, unnamed = find({"HOME": str(home), "LLMCLI_HOME": str(home / "llmcli")}, folders)
    unread = [one for one in look(found, Remembered()) if isinstance(one, LeftOut)]
    return {one.path.name: one.reason for one in [*unnamed, *unread]}


class TestStores:
    """Each program's folder, by that program's rules."""

    def test_llmcli_s_own_folder(self, home: Path, tiny_model: Path) -> None:
        """A file is called by its name, in folders within folders as well."""
        place(home / "llmcli/data/models/a/deep/Model-Q4_0.gguf", tiny_model)
        assert names(home) == {"Model-Q4_0": "llmcli"}

    def test_the_hugging_face_cache(self, home: Path, tiny_model: Path) -> None:
        """`owner/repo:QUANT`; files of one quantization by their names; old snapshots add none."""
        cache = home / ".cache/huggingface/hub"
        files = {"m-q4_k_m.gguf": tiny_model, "m-Q8_0.gguf": tiny_model}
        hub_model(cache, "owner/some-repo", files, commit="1" * 40)
        hub_model(cache, "owner/some-repo", files, commit="2" * 40)
        hub_model(cache, "owner/two", {"a-F16.gguf": tiny_model, "b-F16.gguf": tiny_model})
        hub_model(cache, "owner/plain", {"model.gguf": tiny_model})
        hub_model(cache, "owner/none", {"config.json": tiny_model})
        assert set(names(home)) == {
            "owner/some-repo:Q4_K_M",
            "owner/some-repo:Q8_0",
            "owner/two:a-F16",
            "owner/two:b-F16",
            "owner/plain",
        }
        found, _ = find({"HOME": str(home)})
        [newest] = [model.path for model in found if model.name == "owner/some-repo:Q8_0"]
        assert "2" * 40 in str(newest), "the snapshot of the main branch is the one"

    @pytest.mark.parametrize(
        ("variable", "folder"),
        [("HF_HUB_CACHE", "elsewhere"), ("HF_HOME", "elsewhere/hub"), ("XDG_CACHE_HOME", "huggingface/hub")],
    )
    def test_the_cache_is_elsewhere(self, home: Path, tiny_model: Path, variable: str, folder: str) -> None:
        """The hub's own variables are followed."""
        hub_model(home / folder, "o/r", {"m-Q4_0.gguf": tiny_model})
        place_named = home if variable == "XDG_CACHE_HOME" else home / "elsewhere"
        assert names(home, **{variable: str(place_named)}) == {"o/r:Q4_0": "huggingface"}

    def test_ollama(self, home: Path, tiny_model: Path) -> None:
        """A name as Ollama prints it: without the usual registry and the usual namespace."""
        store = home / ".ollama/models"
        ollama_model(store, "registry.ollama.ai/library/llama3.2/1b", tiny_model)
        ollama_model(store, "registry.ollama.ai/someone/theirs/latest", tiny_model)
        ollama_model(store, "hf.co/owner/repo/Q4_K_M", tiny_model)
        assert set(names(home)) == {"llama3.2:1b", "someone/theirs:latest", "hf.co/owner/repo:Q4_K_M"}

    def test_ollama_s_linked_folders(self, home: Path, tiny_model: Path) -> None:
        """Someone who shares models between machines or users links them."""
        store, shared = home / ".ollama/models", home / "shared"
        ollama_model(store, "registry.ollama.ai/library/own/1b", tiny_model)
        ollama_model(shared, "registry.ollama.ai/library/theirs/2b", tiny_model)
        library = store / "manifests/registry.ollama.ai/library"
        (library / "theirs").symlink_to(shared / "manifests/registry.ollama.ai/library/theirs")
        (library / "round").symlink_to(library)
        assert set(names(home)) == {"own:1b", "theirs:2b"}

    def test_ollama_elsewhere(self, home: Path, tiny_model: Path) -> None:
        """OLLAMA_MODELS says where."""
        ollama_model(home / "o", "registry.ollama.ai/library/m/latest", tiny_model)
        assert names(home, OLLAMA_MODELS=str(home / "o")) == {"m:latest": "ollama"}

    def test_ollama_s_half_downloads(self, home: Path, tiny_model: Path, tmp_path: Path) -> None:
        """A blob that is shorter than its manifest says, and one that is not there."""
        store = home / ".ollama/models"
        blob = ollama_model(store, "registry.ollama.ai/library/m/latest", tiny_model, size=10**9)
        gone = ollama_model(store, "registry.ollama.ai/library/n/latest", make_model(tmp_path / "n", seed=1))
        gone.unlink()
        assert names(home) == {}
        told = left_out(home)
        assert told[blob.name].endswith("of 1,000,000,000: a half download")
        assert told[gone.name] == "n:latest: a link to nothing"

    def test_a_manifest_can_t_lead_astray(self, home: Path) -> None:
        """What is no digest is no file's name, and what is no manifest is left out."""
        folder = home / ".ollama/models/manifests/registry.ollama.ai/library/m"
        folder.mkdir(parents=True)
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../../etc/passwd"}
        (folder / "a").write_text(json.dumps({"layers": [layer]}))
        (folder / "b").write_text('{"layers": 7}')
        (folder / "c").write_text("[" * 100_000)
        (folder / "d").write_bytes(b"\xff\xfe")
        assert names(home) == {}
        assert left_out(home) == dict.fromkeys("abcd", "names no GGUF file")

    def test_lm_studio(self, home: Path, tiny_model: Path) -> None:
        """`publisher/model:QUANT`, also where the user moved the folder."""
        place(home / ".lmstudio/models/pub/model-GGUF/model-Q6_K.gguf", tiny_model)
        assert names(home) == {"pub/model-GGUF:Q6_K": "lmstudio"}
        place(home / "moved/pub/other/other-Q8_0.gguf", tiny_model)
        (home / ".lmstudio/settings.json").write_text(json.dumps({"downloadsFolder": str(home / "moved")}))
        assert set(names(home)) == {"pub/model-GGUF:Q6_K", "pub/other:Q8_0"}

    def test_llama_cpp(self, home: Path, tiny_model: Path) -> None:
        """Manifests tell the repository; a file without one goes by its name; or all is as the hub has it."""
        folder = home / "llama"
        place(folder / "ggml-org_gemma-GGUF_gemma-Q4_K_M.gguf", tiny_model)
        manifest = {"ggufFile": {"rfilename": "gemma-Q4_K_M.gguf"}}
        (folder / "manifest=ggml-org=gemma-GGUF=latest.json").write_text(json.dumps(manifest))
        place(folder / "by-url.gguf", tiny_model)
        hub_model(folder, "o/r", {"m-Q4_0.gguf": tiny_model})
        assert names(home, LLAMA_CACHE=str(folder)) == {
            "ggml-org/gemma-GGUF:Q4_K_M": "llama.cpp",
            "by-url": "llama.cpp",
            "o/r:Q4_0": "llama.cpp",
        }

    def test_a_folder_that_two_programs_share(self, home: Path, tiny_model: Path) -> None:
        """A file under the same name is one model."""
        hub_model(home / "hub", "o/r", {"m-Q4_0.gguf": tiny_model})
        environ = {"HF_HUB_CACHE": str(home / "hub"), "LLAMA_CACHE": str(home / "hub")}
        assert names(home, **environ) == {"o/r:Q4_0": "huggingface"}


class TestFiles:
    """What is in a folder: parts, links, halves, and what is no model."""

    def test_a_split_model_is_one(self, home: Path, tiny_model: Path) -> None:
        """Its first file is the one to load, and its size that of all."""
        for number in (1, 2, 3):
            place(home / f"big-Q4_0-0000{number}-of-00003.gguf", tiny_model)
        found, _ = find({"HOME": str(home / "empty")}, [home])
        assert [model.name for model in found[1:]] == ["big-Q4_0"]
        assert found[1].path.name == "big-Q4_0-00001-of-00003.gguf"
        assert found[1].size == 3 * tiny_model.stat().st_size

    def test_two_split_models_of_one_name(self, home: Path, tiny_model: Path) -> None:
        """As after a repository was split anew: each by its first file; a set without all parts is none."""
        for count in (2, 3):
            for number in range(1, count + 1):
                place(home / f"m/big-Q4_0-0000{number}-of-0000{count}.gguf", tiny_model)
        place(home / "m/big-Q4_0-00001-of-00004.gguf", tiny_model)
        place(home / "m/big-Q8_0.gguf", tiny_model)
        found, _ = find({"HOME": str(home), "LLMCLI_HOME": str(home)}, [home / "m"])
        assert {model.name: len(model.files) for model in found[1:]} == {
            "big-Q4_0-00001-of-00002": 2,
            "big-Q4_0-00001-of-00003": 3,
            "big-Q8_0": 1,
        }
        assert left_out(home, home / "m") == {"big-Q4_0-00001-of-00004.gguf": "part 2 of 4 is missing"}

    def test_a_part_is_missing(self, home: Path, tiny_model: Path) -> None:
        """A model with a part that is not there yet is left out."""
        place(home / "m/big-00001-of-00002.gguf", tiny_model)
        assert names(home, home / "m") == {}
        assert left_out(home, home / "m") == {"big.gguf": "part 2 of 2 is missing"}

    def test_what_is_left_out(self, home: Path, tiny_model: Path) -> None:
        """Half downloads, links to nothing or themselves, projectors, and what only looks like a model."""
        folder = home / "m"
        folder.mkdir()
        (folder / "nothing.gguf").symlink_to("gone")
        (folder / "itself.gguf").symlink_to("itself.gguf")
        (folder / "round").symlink_to(".")
        (folder / "half.gguf.part").touch()
        (folder / "empty.gguf").touch()
        (folder / "text.gguf").write_text("hello")
        (folder / "short.gguf").write_bytes(tiny_model.read_bytes()[:-1000])
        place(folder / "mmproj-F16.gguf", tiny_model)
        os.mkfifo(folder / "pipe.gguf")
        place(folder / "good.gguf", tiny_model)
        told = left_out(home, folder, home / "missing")
        assert told.pop("short.gguf").startswith("the file ends 1,000 bytes early")
        assert told == {
            "nothing.gguf": "a link to nothing",
            "itself.gguf": "too many levels of symbolic links",
            "half.gguf.part": "a half download",
            "empty.gguf": "the file is empty",
            "text.gguf": "not a GGUF file (it is text)",
            "mmproj-F16.gguf": "an image projector, which belongs to a model",
            "pipe.gguf": "not a regular file",
            "missing": "no such folder",
        }

    def test_a_name_that_counts_no_parts(self, home: Path, tiny_model: Path) -> None:
        """Part 0 of 0 and part 3 of 2 are none: such files are models of their own."""
        files = [
            place(home / f"m/{name}.gguf", tiny_model) for name in ("a-00000-of-00000", "a-00003-of-00002")
        ]
        assert sorted(names(home, home / "m")) == [path.stem for path in files]
        assert [parts_of(path) for path in files] == [[path] for path in files]

    def test_parts_in_capitals(self, home: Path, tiny_model: Path) -> None:
        """The other parts are spelled as the one that is named."""
        first, second = (place(home / f"m/BIG-0000{n}-OF-00002.GGUF", tiny_model) for n in (1, 2))
        assert list(names(home, home / "m")) == ["BIG"]
        assert parts_of(first) == [first, second]

    def test_files_of_one_name(self, home: Path, tiny_model: Path) -> None:
        """The folder tells them apart, in a plain folder and in a repository."""
        for folder in (home / "m", home / ".lmstudio/models/someone"):
            for sub in ("a", "b"):
                place(folder / "kept" / sub / "model.gguf", tiny_model)
        files = {f"{sub}/weights.gguf": tiny_model for sub in ("a", "b")}
        hub_model(home / ".cache/huggingface/hub", "o/r", files)
        assert list(names(home, home / "m")) == [
            "kept/a/model",
            "kept/b/model",
            "o/r:a/weights",
            "o/r:b/weights",
            "someone/kept/a",
            "someone/kept/b",
        ]

    def test_pipes_in_the_place_of_notes(self, home: Path, tiny_model: Path) -> None:
        """Nobody waits for what is never written."""
        cache = home / ".cache/huggingface/hub"
        hub_model(cache, "o/r", {"m-Q8_0.gguf": tiny_model})
        (cache / "models--o--r/refs/main").unlink()
        manifests = home / ".ollama/models/manifests/registry.ollama.ai/library/small"
        manifests.mkdir(parents=True)
        for pipe in (cache / "models--o--r/refs/main", manifests / "1b", home / ".lmstudio-home-pointer"):
            os.mkfifo(pipe)
        assert list(names(home)) == ["o/r:Q8_0"]

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
    def test_a_folder_that_can_t_be_read(self, home: Path) -> None:
        """It is left out, and the rest is found."""
        locked = home / "m" / "locked"
        locked.mkdir(parents=True, mode=0o000)
        assert left_out(home, home / "m") == {"locked": "permission denied"}

    def test_a_file_that_holds_no_model(self, home: Path) -> None:
        """An adapter says what it is."""
        (home / "m").mkdir()
        out = gguf.GGUFWriter(home / "m" / "lora.gguf", "llama")
        out.add_type(gguf.GGUFType.ADAPTER)
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.close()
        assert left_out(home, home / "m") == {"lora.gguf": "holds no model, but: adapter"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-q8_0", "Q8_0"),
        ("gpt-oss-20b-mxfp4", "MXFP4"),
        ("GLM-4.6-UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("model.IQ2_XXS", "IQ2_XXS"),
        ("model-IQ4_NL", "IQ4_NL"),
        ("phi-fp16", "FP16"),
        ("gemma-3-270m-it-BF16", "BF16"),
        ("bitnet-TQ2_0", "TQ2_0"),
        ("model-q8", "Q8"),
        ("Q-learning-F16s", None),
        ("stories260K", None),
    ],
)
def test_the_quantization_in_a_name(name: str, expected: str | None) -> None:
    """As people write it, small or large."""
    assert quantization_in(name) == expected


def test_what_a_list_shows_of_a_file(tiny_model: Path, tmp_path: Path) -> None:
    """The header's figures, and the parameters counted."""
    place(tmp_path / "m" / "tiny-model.gguf", tiny_model)
    found, _ = find({"HOME": str(tmp_path)}, [tmp_path / "m"])
    [_, listed] = look(found, Remembered())
    assert isinstance(listed, Listed)
    assert (listed.summary.architecture, listed.summary.context_length) == ("llama", 512)
    assert listed.summary.parameters == 136_128
    assert listed.quantization == "F32"
