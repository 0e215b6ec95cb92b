"""Pixels that are scaled twice, or normalised with numbers of another range."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.roles import lineage
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import INPUT, Dataset, Tensor, Transform, Value, constant, known

BYTES = (255, 255.0, 256, 256.0)


def scaled_twice(trace: Trace) -> Iterator[Draft]:
    """Find images of ToTensor that are divided by 255."""
    for event in trace.of("divide"):
        image = known(event.subject)
        if event.loader is None or constant(event.value) not in BYTES or not isinstance(image, Tensor) or (
                image.meaning != INPUT):
            continue
        sets = [one for one in lineage(event.loader) if isinstance(one, Dataset)]
        if any(scales(one.transform) for one in sets):
            yield Draft("FW422", event.spot, "The images are divided by 255 a second time.",
                        f"ToTensor gives numbers up to 1. `{text_of(event.spot)}` leaves at most 0.004, so all images "
                        "look black.", "Leave the division out.")


def statistics_of_bytes(trace: Trace) -> Iterator[Draft]:
    """Find Normalize with a mean of bytes after ToTensor."""
    for event in trace.of("dataset"):
        transform = known(event.subject.transform) if isinstance(event.subject, Dataset) else None
        scaled = False
        for name, arguments, spot in transform.steps if isinstance(transform, Transform) else ():
            scaled = scaled or name == "ToTensor"
            mean = constant(arguments.get("mean")) if name == "Normalize" and scaled else None
            first = mean[0] if isinstance(mean, tuple) and mean else mean
            if isinstance(first, int | float) and first > 2:
                yield Draft("FW422", spot, f"Normalize has a mean of {first:g}, but ToTensor gives numbers up to 1.",
                            f"All pixels become nearly {-first / divisor(arguments):.2g}, so the images look alike.",
                            "Divide mean and deviation by 255.")


def divisor(arguments: dict[str, Value]) -> float:
    """Return the first standard deviation of a Normalize, or the mean's usual one."""
    given = constant(arguments.get("std"))
    first = given[0] if isinstance(given, tuple) and given else given
    return float(first) if isinstance(first, int | float) and first else 64.0


def scales(transform: Value | None) -> bool:
    """True for a transform with ToTensor."""
    made = known(transform)
    return isinstance(made, Transform) and any(name == "ToTensor" for name, _, _ in made.steps)


RULES = (scaled_twice, statistics_of_bytes)
