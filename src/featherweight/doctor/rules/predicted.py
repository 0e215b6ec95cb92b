"""Predicted classes that are taken over the wrong dimension."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.layers import CLASSES_AXES
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import LOG_PROBABILITIES, LOGITS, PROBABILITIES, Tensor, constant


def over_images(trace: Trace) -> Iterator[Draft]:
    """Find a largest output that is taken over the images of a batch, not over the classes."""
    for event in trace.of("predict"):
        output, axis = event.subject, constant(event.value)
        scores = isinstance(output, Tensor) and output.meaning in (LOGITS, LOG_PROBABILITIES, PROBABILITIES)
        if not scores or axis not in (0, -2) or isinstance(axis, bool) or event.nested:
            continue
        if isinstance(output, Tensor) and output.axes == CLASSES_AXES and output.models:
            yield Draft("FW511", event.spot, "The predicted class is taken over the images of the batch.",
                        f"`{text_of(event.spot)}` gives one image for each class. Dimension 0 holds the images, "
                        "dimension 1 the classes.", "Take the largest output over dimension 1.")


RULES = (over_images,)
