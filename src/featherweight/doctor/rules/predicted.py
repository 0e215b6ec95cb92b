"""Predicted classes that are taken over the wrong dimension."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.layers import CLASSES_AXES
from featherweight.doctor.flow.roles import CLASSES, lineage
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import (
    LABEL,
    LOG_PROBABILITIES,
    LOGITS,
    PREDICTION,
    PROBABILITIES,
    Criterion,
    Tensor,
    constant,
    known,
)

REGRESSION = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")
COLUMNS = ("unsqueeze(", "view(-1, 1)", "reshape(-1, 1)", "[:, None]")     # the loss gets the labels as a column


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


def every_pair(trace: Trace) -> Iterator[Draft]:
    """Find predictions of shape (N, 1) that are compared with labels of shape (N,): torch compares every pair."""
    for event in trace.of("compare"):
        sides = [known(event.subject), known(event.value)]
        columns = [one for one in sides if isinstance(one, Tensor) and one.meaning == PREDICTION
                   and one.axes == CLASSES_AXES and one.trail and one.trail[0].outputs == 1]
        labels = [one for one in sides if isinstance(one, Tensor) and one.meaning == LABEL and one.axes == 1]
        if columns and labels and any(text in event.spot.source.text for text in COLUMNS):
            yield Draft("FW513", event.spot, "Predictions of shape (N, 1) are compared with labels of shape (N,).",
                        f"`{text_of(event.spot)}` compares each prediction with all labels and gives N x N answers.",
                        "Remove the second axis of the outputs: outputs.squeeze(1).")


def every_error(trace: Trace) -> Iterator[Draft]:
    """Find a regression loss between outputs of shape (N, 1) and labels of shape (N,)."""
    for event in trace.of("loss"):
        output, target = event.value, event.other
        name = event.subject.name if isinstance(event.subject, Criterion) else ""
        column = isinstance(output, Tensor) and output.axes == CLASSES_AXES and bool(output.trail) and (
            output.trail[0].outputs == 1 and not output.maybe)
        row = isinstance(target, Tensor) and target.meaning == LABEL and target.axes == 1
        known_classes = isinstance(target, Tensor) and any(
            one.name in CLASSES or one.name == "ImageFolder" for source in target.origin for one in lineage(source))
        if column and row and known_classes and name in REGRESSION:
            yield Draft("FW513", event.spot, "Outputs of shape (N, 1) are compared with labels of shape (N,).",
                        f"`{text_of(event.spot)}` takes the error between each output and all labels, so the network "
                        "learns their mean.", "Remove the second axis of the outputs: outputs.squeeze(1).")


RULES = (over_images, every_pair, every_error)
