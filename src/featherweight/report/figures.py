"""Draw the figures of one run from its examination and its anatomy. Used by page.py and drawing.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from featherweight import plots
from featherweight.anatomy import Layer, activation_maps, class_map, first_kernels, middle_fields
from featherweight.anatomy.layers import IMAGE, Shapes
from featherweight.errors import ModelError
from featherweight.evaluation import calibration_curve
from featherweight.examination import Examination
from featherweight.words import percent

Array = NDArray[Any]


def picture(image: Tensor) -> Array:
    """Return a uint8 image (C, H, W) in the layout of matplotlib: (H, W), or (H, W, 3) in colour."""
    return np.moveaxis(image.numpy(), 0, -1) if image.shape[0] == 3 else image[0].numpy()


def curves(examination: Examination) -> Figure:
    """Draw loss, accuracy and learning rate by epoch."""
    return plots.curves({"": examination.run.history})


def confusion(examination: Examination, head: str) -> Figure:
    """Draw the confusion matrix: true class against predicted class."""
    return plots.confusion(examination.confusion(head), examination.classes(head))


def by_class(examination: Examination, head: str) -> Figure:
    """Draw the accuracy of each class."""
    return plots.by_class(examination.confusion(head), examination.classes(head))


def calibration(examination: Examination, head: str) -> Figure:
    """Draw the calibration curve: confidence against accuracy."""
    return plots.calibration(calibration_curve(examination.answers[head], examination.targets[head]))


def mistakes(examination: Examination, head: str, most: int = 12) -> Figure | None:
    """Draw the wrong predictions with the highest loss. None if all predictions are right."""
    found = examination.mistakes(head, most)
    captions = [
        "\n".join([f"{mistake.truth} {mistake.said}".strip() + ", read as",
                   *(f"{name}  {percent(share, 1)}" for name, share in mistake.ranked)])
        for mistake in found
    ]
    images = [picture(examination.dataset.test.images[mistake.image]) for mistake in found]
    return plots.mistakes(images, captions) if found else None


def kernels(network: nn.Module) -> Figure | None:
    """Draw the kernels of the first convolution. None for a network without a convolution."""
    weights = first_kernels(network)
    return None if weights is None else plots.kernels(weights.numpy())


def activations(examination: Examination, image: int) -> Figure:
    """Draw the activation maps of every layer for one test image, given by its index."""
    maps = activation_maps(examination.network, examination.inputs(image))
    return plots.activations([(described(layer), values.numpy()) for layer, values in maps])


def described(layer: Layer) -> str:
    """Return the label of a layer with its output shape."""
    return f"{layer.label}   {'x'.join(map(str, layer.output_shapes[0]))}"


def cam(examination: Examination, head: str) -> Figure | None:
    """Draw the class activation maps of a head. None if no layer tells places of the image apart."""
    found = class_maps(examination, head)
    return None if isinstance(found, str) else found.figure


@dataclass(frozen=True)
class Evidence:
    """Class activation maps. exact: True if all are exact. layer: label of the layer where they were taken."""

    figure: Figure
    exact: bool
    layer: str


def class_maps(examination: Examination, head: str) -> Evidence | str:
    """Return the class activation maps for one test image of each class, at most 20 classes.

    For a network whose layers do not tell places of the image apart: the reason, as a sentence.
    """
    index, classes = examination.task.heads.index(head), examination.classes(head)
    images, maps, boxes, captions, exact = [], [], [], [], True
    for image in examination.an_image_of_each_class()[:20]:
        answer = int(examination.answers[head][image].argmax())
        try:
            found = class_map(examination.network, examination.inputs(image), answer, index)
        except ModelError as fault:
            return str(fault)
        images.append(picture(examination.dataset.test.images[image]))
        maps.append(found.values.numpy())
        boxes.append(found.unit)
        captions.append(f"answer {classes[answer]}")
        exact = exact and found.exact
    return Evidence(plots.class_maps(images, maps, boxes, captions), exact, found.layer.label)


def receptive_fields(network: nn.Module, image: Tensor, shapes: Shapes = IMAGE) -> Figure | None:
    """Draw the receptive field of the middle unit of each layer on an image. None without spatial layers.

    image: uint8 (C, H, W). shapes: shape of each input of the network.
    """
    fields = [
        plots.FieldPicture(
            f"{seen.layer.label}", f"{numbers(seen.layer.receptive_field)} px, jump {numbers(seen.layer.jump)}",
            seen.box, seen.support.numpy(),
        )
        for seen in middle_fields(network, shapes)
    ]
    return plots.receptive_fields(picture(image), distinct(fields)) if fields else None


def distinct(fields: list[plots.FieldPicture]) -> list[plots.FieldPicture]:
    """Return the fields without repetitions: a layer whose field equals that of the layer before is left out.

    Such layers are activations, normalisation and dropout.
    """
    kept: list[plots.FieldPicture] = []
    for field in fields:
        if not kept or (field.words, field.box) != (kept[-1].words, kept[-1].box):
            kept.append(field)
    return kept


def numbers(value: float | list[float] | None) -> str:
    """Return a size as text: "5", "3x5" if the size differs by axis, "-" if there is no size."""
    if value is None:
        return "-"
    return "x".join(f"{one:g}" for one in value) if isinstance(value, list) else f"{value:g}"
