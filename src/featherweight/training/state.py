"""The state of one training. It can be saved as tensors and text, and loaded again bit for bit."""

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
    """The progress of a training: finished epochs, and counters of the current epoch."""

    epoch: int = 0                  # finished epochs
    step: int = 0                   # finished steps of the current epoch
    loss_sum: float = 0.0           # over the images of the current epoch
    correct: list[int] = field(default_factory=list)    # right predictions of the current epoch, per head
    seen: int = 0                   # images of the current epoch up to now
    epoch_seconds: float = 0.0      # spent on the current epoch
    seconds: float = 0.0            # spent on all epochs, also before a resume

    def spend(self, seconds: float) -> None:
        """Add `seconds` to the training time."""
        self.epoch_seconds += seconds
        self.seconds += seconds

    def next_epoch(self) -> None:
        """Move to the start of the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seen, self.epoch_seconds = 0.0, [], 0, 0.0


@dataclass
class Best:
    """The epoch with the lowest validation loss so far, and a copy of the trained network's state after it."""

    epoch: int                      # counted from 1
    loss: float                     # nats
    weights: dict[str, Tensor]


@dataclass
class TrainingState:
    """All state that resuming a training needs."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    average: AveragedModel | None
    generator: torch.Generator      # for augmentations and digit-sum numbers, on the model's device
    position: Position = field(default_factory=Position)
    losses: Tensor | None = None    # (N,), last loss of each image; only if the plan selects images
    order: Tensor | None = None     # int64 on the CPU, selected images of the current epoch
    best: Best | None = None        # only if the plan uses validation

    @property
    def trained(self) -> nn.Module:
        """The network that is evaluated and exported: the average of the weights if there is one, else `model`."""
        return self.average.module if self.average is not None else self.model

    def keep_if_best(self, epoch: int, loss: float) -> None:
        """Copy the trained network after `epoch`, if its validation loss is the lowest so far."""
        if self.best is None or loss < self.best.loss:
            weights = {key: value.detach().clone() for key, value in self.trained.state_dict().items()}
            self.best = Best(epoch, loss, weights)

    def return_to_best(self) -> int:
        """Load the weights of the best epoch into the trained network. Return the number of that epoch, from 1.

        Raises ValueError if no epoch was stored.
        """
        if self.best is None:
            raise ValueError("no epoch is done, or validation was not watched")
        self.trained.load_state_dict(self.best.weights)
        return self.best.epoch

    def save(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return copies (tensors, text) from which load() restores exactly this state."""
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
        # clones: safetensors refuses tensors that share memory, as tied weights do
        return {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}, text

    def load(self, tensors: Mapping[str, Tensor], text: Mapping[str, Any]) -> None:
        """Restore the state that save() returned. Raises KeyError or RuntimeError if it is of a different training."""
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
            # fused optimizers need buffers with the same memory layout as the parameter
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
    """Return the plain values of a scheduler's state. Its constructor sets functions and infinite values again."""
    state = schedule.scheduler.state_dict()
    kinds = (int, float, str, bool, list, type(None))
    return {k: v for k, v in state.items() if isinstance(v, kinds) and v not in (math.inf, -math.inf)}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
