"""The kept cache: as good as a fresh one where it fits, and as good as none where it does not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmcli.chat.snapshot import SHORTEST, Snapshots, fingerprint_of, forget
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from tests.models import make_model

OPTIONS = EngineOptions(threads=1)

Kept = Callable[..., Snapshots]


def ids_of(n: int) -> list[int]:
    return [int(i) for i in np.random.default_rng(1).integers(0, 480, n)]


@pytest.fixture
def told() -> list[str]:
    """What was explained."""
    return []


@pytest.fixture
def snapshots(tiny_model: Path, tmp_path: Path, told: list[str]) -> Iterator[Kept]:
    """Makes engines of a model and options, each with the snapshots in one folder."""
    with ExitStack() as stack:

        def make(
            model: Path = tiny_model,
            options: EngineOptions = OPTIONS,
            limit: int = 1 << 30,
            version: str = "1",
        ) -> Snapshots:
            engine = stack.enter_context(LlamaEngine.load(model, options))
            mark = fingerprint_of(model, options, engine.context_size, version)
            return Snapshots(tmp_path / "kv", engine, mark, told.append, limit)

        yield make


def kept(snapshots: Snapshots, n: int = 300, key: str = "a") -> Path:
    """Fill the cache with so many tokens, and keep it."""
    assert isinstance(snapshots.engine, LlamaEngine)
    snapshots.engine.ready(ids_of(n))
    snapshots.keep(key)
    return snapshots.folder / f"{key}.kv"


class TestResume:
    """What comes back."""

    @pytest.mark.parametrize("window", [0, 32], ids=["plain", "sliding window"])
    def test_the_next_token_is_as_if_nothing_had_been_between(
        self, snapshots: Kept, tmp_path: Path, window: int
    ) -> None:
        """Only what is new is evaluated, and the logits are those of the engine that wrote it."""
        model = make_model(tmp_path / "model.gguf", window=window)
        first, second = snapshots(model), snapshots(model)
        kept(first)
        assert list(second.resume("a")) == ids_of(300)
        assert isinstance(first.engine, LlamaEngine)
        assert isinstance(second.engine, LlamaEngine)
        more = [*ids_of(300), 5, 6, 7]
        assert first.engine.ready(more) == second.engine.ready(more) == 3
        np.testing.assert_array_equal(first.engine.logits(), second.engine.logits())

    def test_a_quantized_cache(self, snapshots: Kept) -> None:
        """Comes back, too, and not into one that is not."""
        options = replace(OPTIONS, cache_type_k="q8_0", cache_type_v="q8_0")
        kept(snapshots(options=options))
        assert len(snapshots(options=options).resume("a")) == 300
        assert not snapshots().resume("a")

    def test_a_short_one_is_not_kept(self, snapshots: Kept) -> None:
        """It is evaluated as quickly."""
        assert not kept(snapshots(), SHORTEST).exists()
        assert kept(snapshots(), SHORTEST + 1).exists()

    def test_it_is_nobody_elses(self, snapshots: Kept) -> None:
        """The folder is the user's alone."""
        assert stat.S_IMODE(kept(snapshots()).parent.stat().st_mode) == 0o700


class TestAsGoodAsNone:
    """What does not fit never reaches llama.cpp."""

    @pytest.mark.parametrize("at", [0, 5, 13, 25, 100, 1000, 0.5, 0.9, -40, -1])
    def test_a_flipped_bit(self, snapshots: Kept, told: list[str], at: float) -> None:
        """Wherever it is."""
        path = kept(snapshots())
        data = bytearray(path.read_bytes())
        data[int(at * len(data)) if isinstance(at, float) else at] ^= 1
        path.write_bytes(data)
        again = snapshots()
        assert not again.resume("a")
        assert list(again.engine.cached) == []
        assert told == [f"the kept cache is damaged: {path}"]

    @pytest.mark.parametrize("length", [0, 5, 12, 60, 1000, -1])
    def test_a_file_cut_short(self, snapshots: Kept, told: list[str], length: int) -> None:
        """At whatever byte."""
        path = kept(snapshots())
        path.write_bytes(path.read_bytes()[:length])
        assert not snapshots().resume("a")
        assert told == [f"the kept cache is damaged: {path}"]

    def test_of_something_else(self, snapshots: Kept, tmp_path: Path, told: list[str]) -> None:
        """Another model file, other settings, another llama.cpp."""
        kept(snapshots())
        assert not snapshots(make_model(tmp_path / "other.gguf", layers=1)).resume("a")
        assert not snapshots(options=replace(OPTIONS, rope_freq_base=5000.0)).resume("a")
        assert not snapshots(options=replace(OPTIONS, ctx_size=1024)).resume("a")
        assert not snapshots(version="2").resume("a")
        assert told == ["the kept cache is of another model, other settings or another llama.cpp"] * 4
        assert snapshots(options=replace(OPTIONS, threads=2)).resume("a")

    def test_what_llama_cpp_does_not_take(self, snapshots: Kept, told: list[str]) -> None:
        """A cache larger than the window, should a fingerprint ever lie: the engine is as new."""
        large = snapshots()
        kept(large)
        small = snapshots(options=replace(OPTIONS, ctx_size=256))
        assert not replace(small, fingerprint=large.fingerprint).resume("a")
        assert told == ["llama.cpp does not take the kept cache"]
        assert isinstance(small.engine, LlamaEngine)
        assert small.engine.ready(ids_of(20)) == 20

    def test_none(self, snapshots: Kept, told: list[str]) -> None:
        """Where nothing was kept, nothing is said."""
        assert not snapshots().resume("a")
        assert told == []


class TestRoom:
    """What all of them may take together."""

    def test_the_least_recently_used_goes_first(self, snapshots: Kept) -> None:
        """Taking one up is using it."""
        one = snapshots()
        paths = [kept(one, key=key) for key in "abc"]
        for number, path in enumerate(paths):
            os.utime(path, (number, number))
        assert one.resume("a")
        size = paths[0].stat().st_size
        kept(replace(one, limit=3 * size), key="d")
        assert [path.exists() for path in paths] == [True, False, True]

    def test_one_that_is_too_large(self, snapshots: Kept, told: list[str]) -> None:
        """It is not kept."""
        assert not kept(snapshots(limit=1000)).exists()
        assert "are more than all may take together" in told[0]

    def test_no_place_for_it(self, snapshots: Kept, told: list[str]) -> None:
        """A folder that can't be: explained, and nothing else."""
        one = snapshots()
        one.folder.write_text("in the way")
        kept(one)
        assert "the cache is not kept" in told[0]

    def test_forget(self, snapshots: Kept) -> None:
        """With its session it goes."""
        path = kept(snapshots())
        forget(path.parent, "a")
        assert not path.exists()
        forget(path.parent, "a")
