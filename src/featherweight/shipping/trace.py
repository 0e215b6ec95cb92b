"""A finished run as one ONNX model: pixels in, probabilities out, normalisation inside."""

from __future__ import annotations

import ast
import copy
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.errors import MissingExtra, ModelError
from featherweight.forward import as_input
from featherweight.inference.card import Card
from featherweight.inference.runtime import keep_quiet
from featherweight.outside import shortened
from featherweight.tasks import heads_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class PixelsToProbabilities(nn.Module):
    """What is exported: uint8 (N, C, H, W), and int64 (N,) where a number is added -> (N, classes) of each head."""

    def __init__(self, module: nn.Module, card: Card) -> None:
        super().__init__()
        # a copy: training may have left the weights channels last, which the exporter would compute shapes for
        twin = copy.deepcopy(module)
        self.module: nn.Module = twin.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.mean, self.std = nn.Buffer(torch.tensor(card.mean)), nn.Buffer(torch.tensor(card.std))
        self.counts = [len(labels) for labels in card.heads.values()]

    def forward(self, images: Tensor, numbers: Tensor | None = None) -> tuple[Tensor, ...]:
        pixels = as_input(images, self.mean, self.std)
        more = () if numbers is None else (F.one_hot(numbers, 10).float(),)
        answers = [head.softmax(dim=1) for head in heads_of(self.module(pixels, *more), len(images))]
        return tuple(answer[:, :count] for answer, count in zip(answers, self.counts, strict=True))


def trace(module: nn.Module, card: Card) -> ModelProto:
    """A network as ONNX: inputs images (and numbers), an output for each head, any batch size.

    Raises MissingExtra without onnx or onnxscript, ModelError where torch cannot export the network.
    """
    check_installed()
    size = card.picture.size
    examples: tuple[Tensor, ...] = (torch.zeros(2, len(card.mean), size, size, dtype=torch.uint8),)
    names = ["images"]
    if card.takes_number:
        examples, names = (*examples, torch.zeros(2, dtype=torch.int64)), [*names, "numbers"]
    try:
        with silence():
            program = torch.onnx.export(
                PixelsToProbabilities(module, card).eval(), examples, dynamo=True, external_data=False, verbose=False,
                input_names=names, output_names=list(card.heads), dynamic_shapes={name: {0: "N"} for name in names},
            )
    except Exception as fault:      # torch.onnx wraps whatever the network's own code raised
        raise ModelError(f"model {card.model!r} cannot be exported to ONNX: {reason_of(fault)}. Replace what it names "
                         "by another layer or operation.") from fault
    assert program is not None
    return cleaned(program.model_proto, describe(card))


def reason_of(fault: BaseException) -> str:
    """The first line of the exception that began it, without colours: torch.onnx wraps it in advice to its authors."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    lines = re.sub(r"\x1b\[\d*m", "", str(fault)).strip().splitlines()
    return shortened(lines[0].rstrip(". ")) if lines else type(fault).__name__


def describe(card: Card) -> dict[str, str]:
    """Return the metadata of the file: the parts of the card by name, and the card's hash."""
    content = {key: value for key, value in card.to_dict().items() if key != "files"}
    parts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()}
    return parts | {"card": card.digest()}


def cleaned(model: ModelProto, metadata: Mapping[str, str]) -> ModelProto:
    """Without the exporter's notes, which name folders of this machine; with our metadata; checked."""
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
    """The place of a node in the network: "norm.group_norm", or "add" outside of its modules; "" if unknown."""
    scopes = next((each.value for each in node.metadata_props if each.key == "pkg.torch.onnx.name_scopes"), "[]")
    *modules, name = ast.literal_eval(scopes) or [""]
    inside = modules[-1].removeprefix("module").removeprefix(".") if modules else ""
    return ".".join(part for part in (inside, name) if part)


def keep_batch_axis(model: ModelProto) -> None:
    """Name the axes of every Squeeze that names none: of a single image it would drop the batch axis too."""
    import onnx

    values = {value.name: value.type.tensor_type.shape.dim for value in (*model.graph.value_info, *model.graph.input)}
    for node in model.graph.node:
        if node.op_type == "Squeeze" and len(node.input) == 1 and node.input[0] in values:
            axes = [axis for axis, size in enumerate(values[node.input[0]]) if size.dim_value == 1]
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(axes, np.int64), f"{node.name}_axes"))
            node.input.append(f"{node.name}_axes")


def check_installed() -> None:
    """MissingExtra where the exporter's packages are not there."""
    keep_quiet()
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError as fault:
            raise MissingExtra(package, "ship") from fault


@contextmanager
def silence() -> Iterator[None]:
    """No warnings and no log lines: torch's exporter speaks of packages that we do not need."""
    before: Any = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
