"""Replicas side by side: each takes its own step, on a CUDA device in a stream of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from featherweight.tasks import Task
from featherweight.training.count import Count
from featherweight.training.loop import Images, Plan, make_advance
from featherweight.training.state import TrainingState


class Forked:
    """The team that leaves the replicas as they are. Recorded as one, the kernels of all fill a GPU together."""

    def __init__(
        self, states: Sequence[TrainingState], data: Sequence[Images], task: Task, plans: Sequence[Plan], count: Count
    ) -> None:
        first, device = states[0], data[0].images.device
        self.states = states
        self.position = replace(first.position, seconds=sum(state.position.seconds for state in states))
        self.position.epoch_seconds = sum(state.position.epoch_seconds for state in states)
        self.works = [
            make_advance(state, one, task, plan, count.row(index))
            for index, (state, one, plan) in enumerate(zip(states, data, plans, strict=True))
        ]
        streams = [torch.cuda.Stream(device) for _ in states] if device.type == "cuda" else []  # type: ignore[no-untyped-call]
        self.streams: list[torch.cuda.Stream] = streams

    @property
    def lr(self) -> float:
        """The learning rate, the same for all."""
        return float(self.states[0].optimizer.param_groups[0]["lr"])

    def begin_epoch(self) -> None:
        """The states know their orders."""
        for state in self.states:
            state.model.train()

    def advance(self, picked: Tensor, left: float | Tensor, lr: float | Tensor) -> None:
        """One step on a batch of each, int64 (R, N)."""
        if not self.streams:
            for work, own in zip(self.works, picked, strict=True):
                work(own, left, lr)
            return
        here = torch.cuda.current_stream(picked.device)
        for work, own, stream in zip(self.works, picked, self.streams, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                work(own, left, lr)
        for stream in self.streams:
            here.wait_stream(stream)

    def after_step(self) -> None:
        """Move the schedules and averages."""
        for state in self.states:
            state.schedule.after_step()
            if state.average is not None:
                state.average.update_parameters(state.model)

    def after_epoch(self) -> None:
        """Move the schedules that move once an epoch."""
        for state in self.states:
            state.schedule.after_epoch(None)

    def settle(self) -> None:
        """The states are where they stand."""
