"""Memory plan of the C code: all values share one block of memory, and space is reused after a value's last read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from featherweight.graph.plain import Step


@dataclass(frozen=True)
class MemoryPlan:
    """A memory plan: the offset of each value in the block and the size of the block, both in elements."""

    offsets: Mapping[str, int]
    size: int


def plan_memory(steps: Sequence[Step], sizes: Mapping[str, int], kept: Collection[str] = ()) -> MemoryPlan:
    """Return an offset for each value, so that values needed at the same time do not overlap.

    The largest values are placed first. Each is placed at the lowest offset that is free for its whole lifetime.
    sizes: value -> number of elements. kept: values that are read after the last step.
    """
    lives = {name: life_of(name, steps, kept) for name in sizes}
    offsets: dict[str, int] = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], lives[name], name)):
        meets = [other for other in offsets if overlap(lives[name], lives[other])]
        offsets[name] = lowest_gap([(offsets[other], offsets[other] + sizes[other]) for other in meets], sizes[name])
    return MemoryPlan(offsets, max((offsets[name] + size for name, size in sizes.items()), default=0))


def life_of(name: str, steps: Sequence[Step], kept: Collection[str]) -> tuple[int, int]:
    """Return the lifetime of a value: the indices of the step that computes it and of the last step that reads it."""
    made = next(index for index, step in enumerate(steps) if step.output == name)
    read = [index for index, step in enumerate(steps) if name in step.inputs]
    return made, len(steps) if name in kept else max(read, default=made)


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return True if two lifetimes share a step. The input and the output of the same step do."""
    return one[0] <= other[1] and other[0] <= one[1]


def lowest_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """Return the lowest offset at which `size` elements overlap none of the taken (start, end) ranges."""
    place = 0
    for start, end in sorted(taken):
        if place + size <= start:
            break
        place = max(place, end)
    return place
