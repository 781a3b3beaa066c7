"""How many layers of a model fit on the devices: a pure function of sizes.

llama.cpp counts the output as one more layer, the last, and offloads from the end: `-ngl 3` puts the
output and the last two layers on the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 1 << 30
"""Bytes left free on each device, as llama.cpp's own tools do: others use it, too."""


@dataclass(frozen=True)
class Needs:
    """Bytes that a model takes on a device: of each layer with its cache, of the output, and to compute."""

    layers: tuple[int, ...]
    output: int
    compute: int


@dataclass(frozen=True)
class Offload:
    """What was put on devices: `layers` of `of`, the output counted as one."""

    layers: int
    of: int
    devices: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.layers} of {self.of} layers to {', '.join(self.devices)}"


def layers_that_fit(needs: Needs, free: Sequence[int], margin: int = MARGIN) -> int:
    """How many layers fit into the free memory of the devices, the output counted as one.

    A layer lies on one device: of several devices, each may be left with room for less than one.

    >>> layers_that_fit(Needs((10, 10, 10), output=5, compute=2), [30], margin=1)
    3
    """
    room = sum(max(0, bytes_free - margin - needs.compute) for bytes_free in free)
    if len(free) > 1 and needs.layers:
        room -= (len(free) - 1) * max(needs.layers)
    taken = 0
    for count, size in enumerate((needs.output, *reversed(needs.layers))):
        taken += size
        if taken > room:
            return count
    return len(needs.layers) + 1
