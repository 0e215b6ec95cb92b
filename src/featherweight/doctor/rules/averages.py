"""Averages of weights that leave the batch statistics behind."""

from __future__ import annotations

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


def normalised(network: Value) -> bool:
    """True for a network with batch normalisation."""
    return isinstance(network, Module) and any(
        key_of(part.name).startswith("batchnorm") or "resnet" in part.name for part in network.parts()
        if part.name.startswith("torch.nn.") or is_torchvision_model(part.name))


RULES = (without_statistics,)
