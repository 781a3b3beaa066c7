"""What a benchmark measured, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from llmcli.engine.bench import Measured, Timed, mean_and_deviation
from llmcli.engine.offload import Offload
from llmcli.render.data import to_json
from llmcli.render.doctor import size
from llmcli.render.safe import safe_line


def as_json(measured: Measured, about: dict[str, Any]) -> str:
    """All of it: seconds of every run, means and deviations."""
    tests = [_data(timed) for timed in (measured.prompt, measured.generation) if timed]
    first, second = measured.first_token, measured.second_turn
    return to_json(
        {
            **about,
            "tests": tests,
            "first_token": _data(first) if first else None,
            "second_turn": {**_data(second), "cached_tokens": measured.kept} if second else None,
        }
    )


def as_table(measured: Measured, about: dict[str, Any]) -> str:
    """A head that says what was measured, and a line for each figure."""
    offload = Offload(**{**about["offload"], "devices": tuple(about["offload"]["devices"])})
    where = f"offloaded {offload}" if offload.layers else "on the CPU"
    head = (
        f"{about['model']}, {size(about['size'])}, {where}, threads {about['threads']}, "
        f"window {about['context_size']}"
    )
    rows = []
    for timed in (measured.prompt, measured.generation):
        if timed:
            mean, deviation = mean_and_deviation(timed.rates)
            rows.append((timed.name, f"{mean:.2f} ± {deviation:.2f}", "tokens/s"))
    for timed, what in (
        (measured.first_token, "first token after a prompt of {} tokens"),
        (measured.second_turn, f"second turn: {{}} tokens behind {measured.kept} in the cache"),
    ):
        if timed:
            mean, deviation = mean_and_deviation(timed.seconds)
            rows.append((what.format(timed.n_tokens), f"{mean * 1000:.1f} ± {deviation * 1000:.1f}", "ms"))
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = (f"{name:<{widths[0]}}  {value:>{widths[1]}}  {unit}" for name, value, unit in rows)
    return "\n".join([safe_line(head), "", *lines, ""])


FORMATS = {"table": as_table, "json": as_json}


def _data(timed: Timed) -> dict[str, Any]:
    mean, deviation = mean_and_deviation(timed.rates)
    seconds, seconds_deviation = mean_and_deviation(timed.seconds)
    return {
        "name": timed.name,
        "n_tokens": timed.n_tokens,
        "tps": round(mean, 3),
        "tps_stddev": round(deviation, 3),
        "ms": round(seconds * 1000, 3),
        "ms_stddev": round(seconds_deviation * 1000, 3),
        "runs_ms": [round(one * 1000, 3) for one in timed.seconds],
    }
