"""Export of a finished run as one ONNX model: pixels in, probabilities out, normalisation inside."""

from __future__ import annotations

import ast
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from featherweight.errors import MissingExtra, ModelError
from featherweight.graph.record import name_of
from featherweight.inference.card import Card
from featherweight.inference.runtime import keep_quiet
from featherweight.outside import shortened
from featherweight.shipping.pixels import PixelsToProbabilities, example_inputs

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def to_onnx(module: nn.Module, card: Card) -> ModelProto:
    """Return a network as an ONNX model: inputs images (and numbers), one output for each head, any batch size.

    Raises MissingExtra if onnx, onnxscript or onnxruntime is not installed. Raises ModelError if torch cannot export
    the network.
    """
    check_installed()
    examples = example_inputs(card)
    names = ["images", "numbers"][: len(examples)]
    try:
        with silence():
            program = torch.onnx.export(
                PixelsToProbabilities(module, card).eval(), examples, dynamo=True, external_data=False, verbose=False,
                input_names=names, output_names=list(card.heads), dynamic_shapes={name: {0: "N"} for name in names},
            )
    except Exception as fault:      # torch.onnx wraps every exception that the network's code raises
        raise ModelError(f"model {card.model!r} cannot be exported to ONNX: {reason_of(fault)}. Replace what it names "
                         "by another layer or operation.") from fault
    assert program is not None
    return cleaned(program.model_proto, describe(card))


def reason_of(fault: BaseException) -> str:
    """Return the first line of the original exception, without colour codes.

    torch.onnx wraps the original exception in another one, whose text is addressed to the developers of torch.
    """
    while fault.__cause__ is not None:
        fault = fault.__cause__
    lines = re.sub(r"\x1b\[\d*m", "", str(fault)).strip().splitlines()
    return shortened(lines[0].rstrip(". ")) if lines else type(fault).__name__


def describe(card: Card) -> dict[str, str]:
    """Return the metadata of the ONNX file: the fields of the card by name, and the hash of the card."""
    content = {key: value for key, value in card.to_dict().items() if key != "files"}
    parts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()}
    return parts | {"card": card.digest()}


def cleaned(model: ModelProto, metadata: Mapping[str, str]) -> ModelProto:
    """Replace the exporter's notes by `metadata`, in place, and return the model after onnx's check.

    The exporter's notes contain paths of this machine.
    """
    import onnx

    for node in model.graph.node:
        node.name = "/".join(part for part in (place_of(node), node.name) if part)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer,
                 *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    keep_batch_axis(model)
    model.producer_name, model.producer_version, model.graph.name = "featherweight", "", "featherweight"
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model


def place_of(node: NodeProto) -> str:
    """Return the place of a node in the network: its module and its own name, e.g. "norm.group_norm".

    A node outside all submodules has only its own name, e.g. "add". Returns "" if the place is unknown.
    """
    scopes = next((each.value for each in node.metadata_props if each.key == "pkg.torch.onnx.name_scopes"), "[]")
    *modules, name = ast.literal_eval(scopes) or [""]
    inside = name_of(modules[-1]) if modules else ""
    return ".".join(part for part in (inside, name) if part)


def keep_batch_axis(model: ModelProto) -> None:
    """Add the axes of size 1 to every Squeeze node that names no axes, in place.

    Without axes, Squeeze would also remove the batch axis of a single image.
    """
    import onnx

    values = {value.name: value.type.tensor_type.shape.dim for value in (*model.graph.value_info, *model.graph.input)}
    for node in model.graph.node:
        if node.op_type == "Squeeze" and len(node.input) == 1 and node.input[0] in values:
            axes = [axis for axis, size in enumerate(values[node.input[0]]) if size.dim_value == 1]
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(axes, np.int64), f"{node.name}_axes"))
            node.input.append(f"{node.name}_axes")


def check_installed() -> None:
    """Raise MissingExtra if onnx, onnxscript or onnxruntime is not installed.

    Turns off the telemetry of onnxruntime before the first import.
    """
    keep_quiet()
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError as fault:
            raise MissingExtra(package, "ship") from fault


@contextmanager
def silence() -> Iterator[None]:
    """Suppress warnings and log lines up to WARNING inside a with block.

    torch's exporter warns of packages that are not needed here.
    """
    before: Any = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
