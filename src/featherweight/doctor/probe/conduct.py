"""Rules on the network's conduct in evaluation: random outputs, outputs that depend on the batch, single images."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import Subject
from featherweight.errors import ModelError
from featherweight.training.fit import TRIED, check_alone, squeeze_notes
from featherweight.training.randomness import random_calls


def evaluation(subject: Subject) -> Iterator[Finding]:
    """Find random numbers in evaluation, and outputs that depend on the other images of the batch."""
    inputs = [value[:TRIED] for value in subject.inputs]
    found = random_calls(subject.module, inputs)
    for call in found:
        where = f" ({call.place})" if call.place else ""
        yield subject.finding("FW107", "", f"{call.function} draws random numbers in evaluation{where}.",
                              "The same image gets another output at each call.",
                              f"Write F.{call.function}(x, {call.share:g}, self.training)." if call.share is not None
                              else "Call it only if self.training.")
    if found or not all(isinstance(head, Tensor) and head.dim() == 2 for head in subject.outputs):
        return
    try:
        check_alone(subject.module, tuple(inputs))
    except ModelError as fault:
        yield subject.finding("FW710", "", "The output for an image depends on the other images of its batch.",
                              "The accuracy holds for one order of the test images only.",
                              f"{str(fault).rpartition('only. ')[2].rstrip('.')}.")


def single_image(subject: Subject) -> Iterator[Finding]:
    """Find a network that drops the batch axis of a single image."""
    if all(isinstance(head, Tensor) and head.dim() == 2 for head in subject.outputs) \
            and squeeze_notes(subject.module, tuple(subject.inputs)):
        yield subject.finding("FW711", "", "For a single image the network drops the batch axis.",
                              "squeeze() removes each axis of size 1, also that of the batch.",
                              "Write flatten(1) instead of squeeze().", corrected="x = x.flatten(1)")


RULES = (evaluation, single_image)
