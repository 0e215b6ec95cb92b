"""Many networks of one make as one, with their optimizers and averages: every tensor gets an axis (R, ...) in front."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim.swa_utils import AveragedModel

from featherweight.tasks import as_heads
from featherweight.training.fusible import FusibleLayers
from featherweight.training.optimization import Schedule, build_average
from featherweight.training.state import TrainingState

Build = Callable[[Iterable[Tensor]], tuple[torch.optim.Optimizer, Schedule]]


class Stacked(nn.Module):
    """R networks of one make as one module: (R, N, ...) inputs -> a tuple of (R, N, classes), one for each head.

    Batch statistics are each network's own; dropout draws for all of them from one generator.
    """

    def __init__(self, models: Sequence[nn.Module], *, compiles: bool = False) -> None:
        super().__init__()
        self.names = {name.replace(".", "|"): name for name in tensors_of(models[0])}   # a dot may be no part of a name
        for key, name in self.names.items():
            like = tensors_of(models[0])[name]
            value = torch.stack([tensors_of(model)[name].detach() for model in models])
            if isinstance(like, nn.Parameter):
                self.register_parameter(key, nn.Parameter(value, requires_grad=like.requires_grad))
            else:
                self.register_buffer(key, value)
        self.make = [copy.deepcopy(models[0]).to("meta")]       # in a list, so that it is no part of this module
        self.compiled = torch.compile(self.mapped, dynamic=False) if compiles else self.mapped
        self.shape: torch.Size | None = None    # of the images that compiled is for

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self.make[0].train(self.training)
        tensors = {self.names[key]: value for key, value in tensors_of(self).items()}
        self.shape = self.shape or inputs[0].shape      # a short batch at the end is not worth a compilation of its own
        return self.compiled(tensors, *inputs) if inputs[0].shape == self.shape else self.mapped(tensors, *inputs)

    def mapped(self, tensors: dict[str, Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        """Weights and buffers (R, ...) by name and inputs (R, N, ...) -> the outputs of forward."""
        make = self.make[0]

        def one(tensors: dict[str, Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
            return as_heads(functional_call(make, tensors, inputs))

        with FusibleLayers():
            outputs: tuple[Tensor, ...] = vmap(one, randomness="different")(tensors, *inputs)
        return outputs

    @torch.no_grad()
    def write(self, index: int, model: nn.Module) -> None:
        """Give a network of this make the weights and buffers of the one at index."""
        own = tensors_of(model)
        for key, value in tensors_of(self).items():
            own[self.names[key]].copy_(value[index])


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def stack(states: Sequence[TrainingState], build: Build, ema: float, *, compiles: bool = False) -> TrainingState:
    """One state of all, where each of them stands. ValueError where they do not stand at the same step."""
    first = states[0]
    if len({(state.position.epoch, state.position.step) for state in states}) > 1:
        raise ValueError("replicas that stand at different steps cannot be trained as one")
    model = Stacked([state.model for state in states], compiles=compiles)
    optimizer, schedule = build(model.parameters())
    slots = [[state.optimizer.state.get(one, {}) for one in state.model.parameters()] for state in states]
    for parameter, each in zip(model.parameters(), zip(*slots, strict=True), strict=True):
        optimizer.state[parameter] = stack_slots(each)
    follow(optimizer, schedule, first.optimizer, first.schedule)
    average = build_average(model, ema) if ema else None
    if average is not None:
        averages = [state.average for state in states if state.average is not None]
        average.module.load_state_dict(Stacked([one.module for one in averages]).state_dict())
        count_as(average, averages[0])
    spent = {key: sum(getattr(state.position, key) for state in states) for key in ("seconds", "epoch_seconds")}
    return TrainingState(model, optimizer, schedule, average, first.generator, replace(first.position, **spent))


def unstack(stacked: TrainingState, states: Sequence[TrainingState]) -> None:
    """Bring every single state to where the stack stands; their positions and generators are moved by the training."""
    assert isinstance(stacked.model, Stacked)
    slots = [stacked.optimizer.state[parameter] for parameter in stacked.model.parameters()]
    for index, state in enumerate(states):
        stacked.model.write(index, state.model)
        for parameter, slot in zip(state.model.parameters(), slots, strict=True):
            state.optimizer.state[parameter] = slot_of(slot, index, parameter)
        follow(state.optimizer, state.schedule, stacked.optimizer, stacked.schedule)
        if state.average is not None and stacked.average is not None:
            averages = stacked.average.module
            assert isinstance(averages, Stacked)
            averages.write(index, state.average.module)
            count_as(state.average, stacked.average)


def stack_slots(slots: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an optimizer keeps of one parameter of each network, stacked; counts of steps are the same for all."""
    return {
        key: value.clone() if value.dim() == 0 else torch.stack([slot[key] for slot in slots])
        for key, value in slots[0].items() if value is not None
    }


def slot_of(slot: Mapping[str, Any], index: int, parameter: Tensor) -> dict[str, Any]:
    """What it keeps of the parameter of the network at index, laid out in memory as the parameter is."""
    return {
        key: value.clone() if value.dim() == 0 else torch.empty_like(parameter).copy_(value[index])
        for key, value in slot.items() if value is not None
    }


def follow(
    optimizer: torch.optim.Optimizer, schedule: Schedule, other: torch.optim.Optimizer, before: Schedule
) -> None:
    """Go on with the learning rate where another optimizer and schedule stand."""
    schedule.scheduler.load_state_dict(before.scheduler.state_dict())
    optimizer.param_groups[0]["lr"] = other.param_groups[0]["lr"]


def count_as(average: AveragedModel, other: AveragedModel) -> None:
    """Take over how many steps another average has seen."""
    average.load_state_dict({"n_averaged": other.state_dict()["n_averaged"].clone()}, strict=False)
