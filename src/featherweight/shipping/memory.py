"""Where each value lies while the network runs: one block of memory, used again as soon as a value is done with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from featherweight.shipping.graph import Step


@dataclass(frozen=True)
class Plan:
    """The first element of each value in the block, and how many elements the block has."""

    offsets: Mapping[str, int]
    size: int


def plan_memory(steps: Sequence[Step], sizes: Mapping[str, int], kept: Collection[str] = ()) -> Plan:
    """Give every value of sizes (elements) a place of its own for as long as it is needed.

    The largest are placed first, each at the lowest place that is free all its life. kept: values that are read after
    the last step.
    """
    lives = {name: life_of(name, steps, kept) for name in sizes}
    offsets: dict[str, int] = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], lives[name], name)):
        meets = [other for other in offsets if overlap(lives[name], lives[other])]
        offsets[name] = lowest_gap([(offsets[other], offsets[other] + sizes[other]) for other in meets], sizes[name])
    return Plan(offsets, max((offsets[name] + size for name, size in sizes.items()), default=0))


def life_of(name: str, steps: Sequence[Step], kept: Collection[str]) -> tuple[int, int]:
    """The step that makes a value and the last that reads it."""
    made = next(index for index, step in enumerate(steps) if step.output == name)
    read = [index for index, step in enumerate(steps) if name in step.inputs]
    return made, len(steps) if name in kept else max(read, default=made)


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two values are needed at the same step; a step's input and output are."""
    return one[0] <= other[1] and other[0] <= one[1]


def lowest_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The lowest place where size elements touch none of the (start, end) that are taken."""
    place = 0
    for start, end in sorted(taken):
        if place + size <= start:
            break
        place = max(place, end)
    return place
