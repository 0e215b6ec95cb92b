"""Subject: a copy of a network that ran once, forward and backward, with all that the rules read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.anatomy.rows import Fields, Row, fields_of, rows_of
from featherweight.doctor.codes import CODES
from featherweight.doctor.finding import Finding, Place
from featherweight.doctor.probe.places import Places
from featherweight.errors import ModelError
from featherweight.graph import Call, Record, Value
from featherweight.graph.passes import prepare, run
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import filled, one_thread, untouched_random_state
from featherweight.recipe import Recipe
from featherweight.tasks import as_heads
from featherweight.user_code import quietly

IMAGES = 16     # random images of the pass; enough that a healthy unit is active for one of them
SEED = 0


@dataclass(frozen=True)
class Subject:
    """A network after one training pass on random images.

    name: as the user wrote it. record: of the pass, with the activations of all layers.
    inputs: the random batch. outputs: one per head.
    classes: number of classes, or None if unknown. recipe: of the network, if it was named by one.
    """

    name: str
    record: Record
    inputs: Sequence[Tensor]
    outputs: Sequence[Any]
    places: Places
    classes: int | None = None
    recipe: Recipe | None = None
    gaps: list[str] = field(default_factory=list)

    @property
    def module(self) -> nn.Module:
        """The copy that ran, with the gradients of the pass."""
        return self.record.module

    @cached_property
    def rows(self) -> list[Row]:
        """Rows of the layer table."""
        return rows_of(self.record)

    @cached_property
    def fields(self) -> Fields:
        """Receptive field of each value; None where unknown."""
        return fields_of(self.record)

    @cached_property
    def makers(self) -> dict[Value, Call]:
        """Value -> the call that returned it."""
        return {value: call for call in self.record.calls for value in call.outputs}

    @cached_property
    def total(self) -> int:
        """Number of parameters, each counted once."""
        return sum(parameter.numel() for parameter in filled(self.module))

    @cached_property
    def side(self) -> int:
        """Height of the images in pixels, 0 for inputs that are not images."""
        shape = self.inputs[0].shape
        return int(shape[2]) if len(shape) == 4 else 0

    def finding(
        self, code: str, layer: str, what: str, why: str, how: str, *, severity: str = "", corrected: str = ""
    ) -> Finding:
        """Return a finding on a layer; "" for the network as a whole. severity: "" for that of the code."""
        line, column = self.places.of(layer)
        place = Place(self.places.file or self.name, self.places.cell, line, column, layer)
        return Finding(code, severity or CODES[code][0], place, what, why, how, corrected,
                       self.places.ignored(code, line))


def run_once(
    name: str, module: nn.Module, shapes: Sequence[Sequence[int]], places: Places, classes: int | None,
    recipe: Recipe | None,
) -> Subject:
    """Run a copy of the network forward and backward on random images. The module and the random state stay unchanged.

    Raises ModelError, one line, if the network does not run on inputs of these shapes.
    """
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), quietly(), torch.enable_grad():
        torch.manual_seed(SEED)
        twin = prepare(module, [tuple(shape) for shape in shapes]).cpu().train()
        inputs = random_inputs(twin, shapes)
        recorder = Recorder(twin, keep=True, distinct=True)
        outputs = as_heads(run(recorder, inputs))
        subject = Subject(name, recorder.record, inputs, outputs, places, classes, recipe)
        go_back(subject)
        subject.module.eval()
    return subject


def random_inputs(module: nn.Module, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return normally distributed values (IMAGES, *shape) for each input, in the dtype of the network."""
    like = next((p for p in filled(module) if p.is_floating_point()), torch.empty(0))
    return [torch.randn(IMAGES, *shape, dtype=like.dtype) for shape in shapes]


def go_back(subject: Subject) -> None:
    """Compute the gradients of a loss with random labels. The loss of a head that has other axes is its mean square."""
    losses = [loss_of(head) for head in subject.outputs if isinstance(head, Tensor) and head.requires_grad]
    if not losses:
        subject.gaps.append("no output carries a gradient: gradients not checked")
        return
    if any(head.dim() != 2 for head in subject.outputs if isinstance(head, Tensor)):
        subject.gaps.append("an output is not of shape (N, classes): logits not checked")
    try:
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError as fault:
        raise ModelError(f"{subject.name} runs forward but not backward: {str(fault).splitlines()[0]}") from fault


def loss_of(head: Tensor) -> Tensor:
    """Return cross-entropy with random labels for (N, classes), else the mean square."""
    if head.dim() == 2 and len(head) == IMAGES:
        return F.cross_entropy(head.float(), torch.randint(head.shape[1], (IMAGES,)))
    return head.float().pow(2).mean()
