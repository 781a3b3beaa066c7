"""How many threads are useful: the processors of this process, not the machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmcli.engine.processors import usable_processors


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may run on eight processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),
        ("50000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("0 100000\n", 8),
        ("200000 0\n", 8),
        ("nonsense\n", 8),
        ("", 8),
    ],
)
def test_quota_of_cgroup_2(tmp_path: Path, cpu_max: str, expected: int) -> None:
    """cpu.max caps the affinity, rounded up; what says no limit, or nothing sensible, does not."""
    (tmp_path / "cpu.max").write_text(cpu_max)
    assert usable_processors(tmp_path) == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"), [("-1", "100000", 8), ("300000", "100000", 3), ("x", "100000", 8)]
)
def test_quota_of_cgroup_1(tmp_path: Path, quota: str, period: str, expected: int) -> None:
    """The older files say the same with -1 for no limit."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text(period)
    assert usable_processors(tmp_path) == expected


def test_without_cgroups(tmp_path: Path) -> None:
    """Where there are no such files the affinity alone counts."""
    assert usable_processors(tmp_path / "none") == 8


def test_without_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no affinity, the machine's processors count; at least one."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_processors(tmp_path) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors(tmp_path) == 1
