"""Everything that changes while training, and its way into tensors and text and back, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from featherweight.training.optimization import Schedule


@dataclass
class Position:
    """Where training stands: epochs that are done, and how far into the next one."""

    epoch: int = 0                  # finished epochs
    step: int = 0                   # finished steps of the epoch that is under way
    loss_sum: float = 0.0           # over the images of that epoch
    correct: list[int] = field(default_factory=list)    # answers of that epoch, one a head
    seen: int = 0                   # images of that epoch
    epoch_seconds: float = 0.0      # spent on that epoch
    seconds: float = 0.0            # spent on everything, over all resumes

    def spend(self, seconds: float) -> None:
        """So many seconds of training went by."""
        self.epoch_seconds += seconds
        self.seconds += seconds

    def next_epoch(self) -> None:
        """Move to the start of the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seen, self.epoch_seconds = 0.0, [], 0, 0.0


@dataclass
class Best:
    """The epoch with the lowest validation loss yet, and copies of the trained network's state after it."""

    epoch: int                      # counted from 1
    loss: float                     # nats
    weights: dict[str, Tensor]


@dataclass
class TrainingState:
    """The moving parts of one training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    average: AveragedModel | None
    generator: torch.Generator      # draws augmentations and numbers, on the model's device
    position: Position = field(default_factory=Position)
    losses: Tensor | None = None    # (N,), of each image when it was last seen; where a plan selects by it
    order: Tensor | None = None     # int64 on the CPU, the images of the epoch under way, where they are selected
    best: Best | None = None        # where a plan watches validation

    @property
    def trained(self) -> nn.Module:
        """The network that is evaluated and shipped: the averaged one where there is an average."""
        return self.average.module if self.average is not None else self.model

    def keep_if_best(self, epoch: int, loss: float) -> None:
        """Copy the trained network after this epoch, if its validation loss is the lowest yet."""
        if self.best is None or loss < self.best.loss:
            weights = {key: value.detach().clone() for key, value in self.trained.state_dict().items()}
            self.best = Best(epoch, loss, weights)

    def return_to_best(self) -> int:
        """Give the trained network the weights of its best epoch; that epoch."""
        if self.best is None:
            raise ValueError("no epoch is done, or validation was not watched")
        self.trained.load_state_dict(self.best.weights)
        return self.best.epoch

    def save(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, text): copies that a later load() turns into exactly this state."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{key}": value for key, value in self.average.state_dict().items()}
        text: dict[str, Any] = {"position": asdict(self.position), "schedule": _plain(self.schedule)}
        state = self.optimizer.state_dict()
        text["groups"] = state["param_groups"]
        for index, slots in state["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in slots.items() if value is not None}
        for name, value in (("losses", self.losses), ("order", self.order)):
            tensors |= {f"selection.{name}": value} if value is not None else {}
        if self.best is not None:
            tensors |= {f"best.{key}": value for key, value in self.best.weights.items()}
            text["best"] = {"epoch": self.best.epoch, "loss": self.best.loss}
        tensors["random.generator"] = self.generator.get_state()
        tensors["random.cpu"] = torch.get_rng_state()
        if self.generator.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.generator.device)
        # clones: safetensors refuses memory that two names share, and tied weights do share it
        return {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}, text

    def load(self, tensors: Mapping[str, Tensor], text: Mapping[str, Any]) -> None:
        """Go back to what save() gave; KeyError or RuntimeError where it belongs to another training."""
        self.model.load_state_dict(_under("model.", tensors))
        if self.average is not None:
            self.average.load_state_dict(_under("average.", tensors))
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimizer.", tensors).items():
            index, _, name = key.partition(".")
            slots.setdefault(int(index), {})[name] = value
        groups = [group | {"betas": tuple(group["betas"])} if "betas" in group else group for group in text["groups"]]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        for parameter, values in self.optimizer.state.items():
            # fused optimizers walk through memory: a buffer must lie in it as its parameter does
            values.update({k: torch.empty_like(parameter).copy_(v) for k, v in values.items() if v.dim() > 0})
        self.schedule.scheduler.load_state_dict(text["schedule"])
        self.generator.set_state(tensors["random.generator"])
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self.generator.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.generator.device)
        self.losses, self.order = (tensors.get(f"selection.{name}") for name in ("losses", "order"))
        if self.losses is not None:
            self.losses = self.losses.to(self.generator.device)
        if best := text.get("best"):
            weights = {key: value.to(self.generator.device) for key, value in _under("best.", tensors).items()}
            self.best = Best(**best, weights=weights)
        self.position = Position(**text["position"])


def _plain(schedule: Schedule) -> dict[str, Any]:
    """A scheduler's numbers and texts; its functions and its infinities are rebuilt by its constructor."""
    state = schedule.scheduler.state_dict()
    kinds = (int, float, str, bool, list, type(None))
    return {k: v for k, v in state.items() if isinstance(v, kinds) and v not in (math.inf, -math.inf)}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
