"""Draw a picture of a run or a network, of any kind in KINDS. Used by the command `plot` and by `Run.plot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from featherweight import plots
from featherweight.anatomy import autograd_graph, data_flow
from featherweight.data import load_dataset
from featherweight.errors import FeatherweightError, UnknownName
from featherweight.examination import Examination, examine
from featherweight.models import build_model, input_shapes
from featherweight.networks import load_network, shapes_of
from featherweight.report import figures
from featherweight.runs import Run

Shapes = tuple[tuple[int, ...], ...]
Subject = Run | Examination | nn.Module | str | Path


def plot(
    kind: str, subject: Subject, *, head: str | None = None, image: int | Tensor = 0,
    autograd: bool = False, data_dir: str | Path | None = None, input_shapes: Shapes = (),
    arguments: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw one picture of a run, or of a network if the kind needs no test predictions.

    kind: a key of KINDS.
    subject: a run, its folder or examination, or a network or its name.
    head: name of a head; default the first.
    image: index of a test image; the kind receptive-field also takes a uint8 image (C, H, W).
    autograd: draw the graph of the gradients instead of the data (kind graph).
    input_shapes: shape of each input, (C, H, W) for images; default: those of the run or the network.
    arguments: keyword arguments of the network, if its name is given.

    Raises UnknownName for an unknown kind or head, DataError for an index without a test image.
    Raises FeatherweightError if there is nothing to draw.
    """
    if kind not in KINDS:
        raise UnknownName("kind of picture", kind, KINDS)
    wanted = Wanted(subject, head, image, autograd, data_dir, input_shapes, arguments or {})
    found = KINDS[kind](wanted)
    if found is None:
        raise FeatherweightError(f"there is nothing to draw as {kind} of {wanted.name!r}: {MISSING[kind]}. Try another "
                                 "kind.")
    return found


@dataclass(frozen=True)
class Wanted:
    """The arguments of `plot`, and what is loaded or computed from them when a picture needs it."""

    subject: Subject
    head: str | None
    image: int | Tensor
    autograd: bool
    data_dir: str | Path | None
    input_shapes: Shapes
    arguments: Mapping[str, Any]

    @property
    def run(self) -> Run | None:
        """The run to draw; None if the subject is a network."""
        if isinstance(self.subject, Examination):
            return self.subject.run
        if isinstance(self.subject, Run | nn.Module):
            return self.subject if isinstance(self.subject, Run) else None
        return Run.open(self.subject) if (Path(self.subject) / "recipe.toml").is_file() else None

    @property
    def name(self) -> str:
        """The name of the subject for messages: class of a network, path of a run, or name of a network."""
        if isinstance(self.subject, nn.Module):
            return type(self.subject).__name__
        return str(self.run.path if self.run else self.subject)

    @cached_property
    def examination(self) -> Examination:
        """The run with its test predictions. Raises RunError if the subject is not a run."""
        found = self.subject if isinstance(self.subject, Examination) \
            else examine(self.run or self.name, data_dir=self.data_dir)
        if isinstance(self.image, int):
            found.check_image(self.image)
        return found

    @property
    def place(self) -> int:
        """The index of the test image. Raises FeatherweightError if a tensor was given instead of an index."""
        if isinstance(self.image, int):
            return self.image
        raise FeatherweightError("image: only receptive-field takes an image of one's own. Give the number of a test "
                                 "image.")

    @cached_property
    def network(self) -> nn.Module:
        """The network of the run, or the network that was given as an object or by name."""
        if isinstance(self.subject, Examination | nn.Module):
            return self.subject.network if isinstance(self.subject, Examination) else self.subject
        return load_network(self.run) if self.run else build_model(str(self.subject), self.arguments)

    @property
    def shapes(self) -> Shapes:
        """The shape of each input: from the arguments, else from the run's recipe, else from the network."""
        return self.input_shapes or (shapes_of(self.run.recipe) if self.run else input_shapes(self.network))

    @property
    def asked_head(self) -> str:
        """The head to draw; by default the first. Raises UnknownName for an unknown head."""
        heads = self.examination.task.heads
        if self.head is not None and self.head not in heads:
            raise UnknownName("head", self.head, heads)
        return self.head or heads[0]


def of_a_head(drawn: Callable[[Examination, str], Figure | None]) -> Callable[[Wanted], Figure | None]:
    """Return a function of Wanted that draws the predictions of the chosen head with `drawn`."""
    return lambda wanted: drawn(wanted.examination, wanted.asked_head)


def curves(wanted: Wanted) -> Figure | None:
    """Draw loss, accuracy and learning rate by epoch. Works also for an unfinished run. None before the first epoch."""
    run = wanted.run or wanted.examination.run
    return plots.curves({"": run.history}) if run.history else None


def fields(wanted: Wanted) -> Figure | None:
    """Draw the receptive field of each layer on an image. None if no layer has spatial positions."""
    shapes = wanted.shapes
    return figures.receptive_fields(wanted.network, picture_for(wanted, shapes[0]), shapes)


def picture_for(wanted: Wanted, shape: tuple[int, ...]) -> Tensor:
    """Return a uint8 image (C, H, W) for the receptive fields: the first of these that is possible.

    1. The given image.
    2. The test image of the run, unless `input_shapes` are given.
    3. An image of the digits data set in this shape, if the shape is square with 1 or 3 channels.
    4. A black image.
    """
    if not isinstance(wanted.image, int):
        return wanted.image
    if wanted.run and not wanted.input_shapes:
        return wanted.examination.dataset.test.images[wanted.image]
    if len(shape) != 3 or shape[0] not in (1, 3) or shape[1] != shape[2]:
        return torch.zeros(shape if len(shape) == 3 else (1, 1, 1), dtype=torch.uint8)
    images = load_dataset("digits", channels=shape[0], size=shape[1]).test.images
    return images[wanted.image % len(images)]


def graph(wanted: Wanted) -> Figure:
    """Draw the graph of the network: the flow of the data, or of the gradients if `autograd`."""
    found = (autograd_graph if wanted.autograd else data_flow)(wanted.network, wanted.shapes)
    return plots.draw_graph(found, Path(wanted.name).name + (", how gradients flow" if wanted.autograd else ""))


MISSING = {
    "curves": "no epoch is done yet", "mistakes": "no answer is wrong", "kernels": "it has no convolution",
    "receptive-field": "no layer has places on the image", "cam": "no layer before the answer has places on the image",
}
NEED_NO_ANSWERS = ("curves", "kernels", "graph")
KINDS: dict[str, Callable[[Wanted], Figure | None]] = {
    "curves": curves,
    "confusion": of_a_head(figures.confusion),
    "mistakes": of_a_head(figures.mistakes),
    "by-class": of_a_head(figures.by_class),
    "calibration": of_a_head(figures.calibration),
    "kernels": lambda wanted: figures.kernels(wanted.network),
    "activations": lambda wanted: figures.activations(wanted.examination, wanted.place),
    "cam": of_a_head(figures.cam),
    "receptive-field": fields,
    "graph": graph,
}
