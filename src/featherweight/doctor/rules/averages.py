"""Averages of weights that leave the batch statistics behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, text_of
from featherweight.doctor.flow.layers import key_of
from featherweight.doctor.flow.library import is_torchvision_model
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Module, Tensor, Value

AVERAGING = ("lerp_", "mul_", "add_", "copy_")
CARRIED = (".buffers(", ".named_buffers(", "update_bn", "use_buffers")      # in code that takes the statistics along


def without_statistics(trace: Trace) -> Iterator[Draft]:
    """Find a moving average of the parameters whose batch normalisation keeps the statistics of its start."""
    copies = {id(event.subject): event for event in trace.of("copy")}
    used = {id(event.subject) for event in trace.of("forward")}
    seen = set[int]()
    for event in trace.of("apply"):
        if event.text not in AVERAGING or not isinstance(event.subject, Tensor) or event.subject.meaning != "parameter":
            continue
        text = event.spot.source.text
        for average in event.subject.models:
            if id(average) in copies.keys() & used - seen and normalised(average) and not any(
                    word in text for word in CARRIED):
                seen.add(id(average))
                yield Draft("FW321", event.spot, "The average leaves out mean and variance of batch normalisation.",
                            f"`{text_of(event.spot)}` changes the parameters of {name_of(average, 'the average')}; its "
                            "buffers stay as they were when it was copied.",
                            "Copy the buffers too, or average all of state_dict().")


def averaged_model(trace: Trace) -> Iterator[Draft]:
    """Find an AveragedModel that is used without update_bn."""
    networks = [event.subject for event in trace.of("forward") if event.subject is not None]
    for event in trace.of("averaged-model"):
        text, node = event.spot.source.text, event.spot.node
        given = ast.unparse(node)
        if "update_bn" in text or "use_buffers=True" in given or not any(map(normalised, networks)):
            continue
        yield Draft("FW321", event.spot, "The average leaves out mean and variance of batch normalisation.",
                    f"`{given}` averages parameters only; its batch statistics are those of its start.",
                    "Call torch.optim.swa_utils.update_bn(train_loader, average) after the training.")


def normalised(network: Value) -> bool:
    """True for a network with batch normalisation."""
    return isinstance(network, Module) and any(
        key_of(part.name).startswith("batchnorm") or "resnet" in part.name for part in network.parts()
        if part.name.startswith("torch.nn.") or is_torchvision_model(part.name))


RULES = (without_statistics, averaged_model)
