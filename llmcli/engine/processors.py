"""How many processors this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The processors of this process: its affinity, capped by the cgroup's quota; at least 1.

    llama.cpp's own default is the machine's number, and more threads than processors cost up to 40 times
    the speed.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        count = os.cpu_count() or 1
    quota = cgroup_quota(cgroup)
    return max(1, min(count, math.ceil(quota)) if quota else count)


def cgroup_quota(cgroup: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The processors that a cgroup allows (2.5 say), of version 2 or 1; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        allowed = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return allowed if allowed > 0 else None
