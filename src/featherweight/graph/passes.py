"""Passes of a network's copy under a recorder: on blank images, with failures as one line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.errors import ModelError
from featherweight.graph.calls import Shape
from featherweight.graph.faults import does_not_run
from featherweight.graph.record import Record
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import blank_inputs, copied, has_lazy, one_thread, untouched_random_state
from featherweight.graph.warned import warnings_placed

BATCH = 2       # with two images, squeeze() does not drop the batch axis
USUAL = ((28, 28), (32, 32), (64, 64), (224, 224))      # images that a network may have been written for


def record_of(module: nn.Module, input_shapes: Sequence[Shape]) -> Record:
    """Run a copy of the network once in evaluation mode, on blank images, and return its record.

    input_shapes: of each input, without the batch axis.
    Raises ModelError, in one line, if the network does not run on inputs of these shapes.
    """
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), torch.no_grad():
        twin = prepare(module, input_shapes)
        return run_blank(lambda: Recorder(twin, distinct=True), input_shapes)[0].record


def record_on(module: nn.Module, inputs: Sequence[Tensor]) -> Record:
    """Run a copy of the network once in evaluation mode on a batch of these inputs, and return its record.

    Raises ModelError, in one line, if the network does not run on them.
    """
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), torch.no_grad():
        recorder = Recorder(copied(module, [tuple(value.shape) for value in inputs]), distinct=True)
        run(recorder, inputs)
    return recorder.record


def prepare(module: nn.Module, input_shapes: Sequence[Shape]) -> nn.Module:
    """Return a copy in evaluation mode, without the user's hooks, with lazy parameters filled.

    Raises ModelError if the module cannot be copied, if a shape is empty, or if lazy parameters cannot be filled.
    """
    twin = copied(module, input_shapes)
    if any(has_lazy(part) for part in twin.modules()):
        with torch.no_grad():
            run(Recorder(twin), blank_inputs(twin, input_shapes, BATCH))
    return twin


def run_blank(watch: Callable[[], Recorder], input_shapes: Sequence[Shape]) -> tuple[Recorder, Any]:
    """Run two blank images, or one if two fail, and return the recorder and the output.

    Some networks accept only a single image. If both passes fail, raises the ModelError of the pass that came further.
    """
    faults: list[tuple[int, ModelError]] = []
    for batch in (BATCH, 1):
        recorder = watch()
        try:
            return recorder, run(recorder, blank_inputs(recorder.record.module, input_shapes, batch))
        except ModelError as fault:
            faults.append((len(recorder.record.events), fault))
    raise max(faults, key=lambda found: found[0])[1]


def run(recorder: Recorder, inputs: Sequence[Tensor]) -> Any:
    """Run one forward pass and return its output. The network's warnings are shown at the user's lines.

    Raises ModelError, with the layer and the user's line, if the network fails.
    """
    with warnings_placed(lambda: recorder.layer):
        try:
            return recorder.run(inputs)
        except Exception as fault:
            module, shapes = recorder.record.module, [tuple(tensor.shape[1:]) for tensor in inputs]
            other = _runs_on(module, shapes)
            raise does_not_run(module, shapes, fault, begun=recorder.has_used_parameters, other=other) from fault


def _runs_on(module: nn.Module, shapes: Sequence[Shape]) -> Shape | None:
    """Return a usual image shape with the same number of channels on which the network runs, or None."""
    for sides in USUAL if len(shapes) == 1 and len(shapes[0]) == 3 else ():
        shape = (shapes[0][0], *sides)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module(*blank_inputs(module, [shape], BATCH))
        except Exception:
            continue
        return shape
    return None
