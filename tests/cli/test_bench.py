"""`llmcli bench`: each thing is measured as often as asked, and the figures fit together."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from llmcli.engine.bench import TURN, measure, window_for
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import WindowFullError
from llmcli.settings.bench import BenchOptions
from llmcli.settings.engine import EngineOptions
from tests.cli.program import Program


def test_every_run_evaluates_what_it_says(engine: LlamaEngine) -> None:
    """Nothing is left in the cache from run to run, but what the second turn keeps."""
    options = BenchOptions(n_prompt=40, n_gen=6, repetitions=2)
    seen: list[float] = []
    measured = measure(engine, options, on_progress=seen.append)
    assert measured.prompt and measured.generation and measured.first_token and measured.second_turn
    assert [len(timed.seconds) for timed in (measured.prompt, measured.second_turn)] == [2, 2]
    runs = options.repetitions + 1
    assert engine.n_evaluated == runs * (40 + 6 + 40 + 46 + TURN)
    assert measured.kept == 46
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_window_that_is_too_small(tiny_model: Path) -> None:
    """The smallest that will do is known beforehand."""
    options = BenchOptions(n_prompt=300, n_gen=10, repetitions=1)
    small = EngineOptions(threads=1, ctx_size=256)
    with LlamaEngine.load(tiny_model, small) as engine, pytest.raises(WindowFullError):
        measure(engine, options)
    with LlamaEngine.load(
        tiny_model, EngineOptions(threads=1, ctx_size=window_for(options), batch_size=64)
    ) as engine:
        assert measure(engine, options).prompt


def test_json(llmcli: Program) -> None:
    """Means and deviations are those of the runs."""
    found = llmcli("bench", "-p", "20", "-n", "4", "-r", "3", "--json").succeeded().json
    assert (found["model"], found["threads"], found["offload"]["layers"]) == ("tiny.gguf", 1, 0)
    assert [test["name"] for test in found["tests"]] == ["pp20", "tg4"]
    for test in (*found["tests"], found["first_token"], found["second_turn"]):
        assert len(test["runs_ms"]) == 3
        assert test["ms"] == pytest.approx(statistics.fmean(test["runs_ms"]), rel=0.01, abs=0.002)
        assert test["ms_stddev"] == pytest.approx(statistics.stdev(test["runs_ms"]), rel=0.01, abs=0.002)
    assert (found["second_turn"]["n_tokens"], found["second_turn"]["cached_tokens"]) == (TURN, 24)


def test_the_table(llmcli: Program) -> None:
    """A line for each figure; what is not asked for has none."""
    text = llmcli("bench", "-p", "20", "-n", "4", "-r", "1").succeeded().text
    for words in ("tiny.gguf", "threads 1", "pp20", "tg4", "± 0.00", "first token", "second turn"):
        assert words in text
    text = llmcli("bench", "-p", "0", "-n", "4", "-r", "1").succeeded().text
    assert "tg4" in text
    assert "pp" not in text
    assert "second turn" not in text
    assert (
        llmcli("bench", "-p", "8", "-n", "0", "-r", "1", "--json").succeeded().json["tests"][0]["n_tokens"]
        == 8
    )


@pytest.mark.parametrize("wrong", [["-p", "-1"], ["-n", "x"], ["-r", "0"]])
def test_values_out_of_range(llmcli: Program, wrong: list[str]) -> None:
    """Are usage errors that name the range."""
    llmcli("bench", *wrong).failed(2, "must be a whole number from")
