"""Optimizers, schedules and the average of the weights, all from torch, built from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from featherweight.training.muon import Muon, step_together


def build_optimizer(
    parameters: Iterable[Tensor],
    name: str,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """sgd, adam, adamw or muon; momentum and nesterov are sgd's and muon's, betas those of all but sgd."""
    match name:
        case "sgd":
            return torch.optim.SGD(
                parameters, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True
            )
        case "adam":
            return torch.optim.Adam(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
        case "muon":
            return Muon(
                parameters, lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, betas=betas
            )
    raise ValueError(f"optimizer {name!r}: allowed are sgd, adam, adamw, muon")


def move(optimizers: Sequence[torch.optim.Optimizer], lr: float | Tensor) -> None:
    """Move the weights of one network, or of many of one make, along their gradients at this rate."""
    with ExitStack() as rates:
        for optimizer in optimizers:
            rates.enter_context(at_rate(optimizer, lr))
        muons = [optimizer for optimizer in optimizers if isinstance(optimizer, Muon)]
        if muons:
            step_together(muons)
        for optimizer in optimizers:
            if not isinstance(optimizer, Muon):
                optimizer.step()


@contextmanager
def at_rate(optimizer: torch.optim.Optimizer, lr: float | Tensor) -> Iterator[None]:
    """Inside the block the optimizer has this learning rate; as a tensor () it is read when its kernels run."""
    kept = [dict(group) for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = lr
        if isinstance(lr, Tensor) and "capturable" in group:
            group["capturable"] = True
    try:
        yield
    finally:
        for group, before in zip(optimizer.param_groups, kept, strict=True):
            group.update(before)


@dataclass
class Schedule:
    """A torch scheduler and when it moves: after each step, after each epoch, or on a watched loss."""

    scheduler: lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau
    unit: str           # "step", "epoch" or "plateau"

    def after_step(self) -> None:
        """One optimisation step was taken."""
        if self.unit == "step":
            self.scheduler.step()  # type: ignore[call-arg]

    def after_epoch(self, watched_loss: float | None) -> None:
        """One epoch was taken; watched_loss is the validation loss that a plateau schedule watches."""
        if self.unit == "epoch":
            self.scheduler.step()  # type: ignore[call-arg]
        elif self.unit == "plateau":
            if watched_loss is None:
                raise ValueError("a plateau schedule needs a validation loss")
            self.scheduler.step(watched_loss)  # type: ignore[arg-type]


def build_schedule(
    optimizer: torch.optim.Optimizer,
    name: str,
    *,
    total_steps: int,
    step_size: int = 10,
    gamma: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    warmup: float = 0.3,
    start_factor: float = 0.04,
    end_factor: float = 1e-4,
) -> Schedule:
    """constant, step, plateau, one-cycle or cosine. The factors are parts of the optimizer's lr, the top.

    total_steps: optimisation steps of the whole training. one-cycle leaves the momentum alone.
    """
    top = optimizer.param_groups[0]["lr"]
    match name:
        case "constant":
            return Schedule(lr_scheduler.ConstantLR(optimizer, factor=1.0), "epoch")
        case "step":
            return Schedule(lr_scheduler.StepLR(optimizer, step_size, gamma), "epoch")
        case "plateau":
            plateau = lr_scheduler.ReduceLROnPlateau(
                optimizer, "min", factor=gamma, patience=patience, threshold=threshold, threshold_mode="abs"
            )
            return Schedule(plateau, "plateau")
        case "one-cycle":
            cycle = lr_scheduler.OneCycleLR(
                optimizer,
                max_lr=top,
                total_steps=max(total_steps, 2),
                pct_start=_with_length(warmup, max(total_steps, 2)),
                div_factor=1 / start_factor,
                final_div_factor=start_factor / max(end_factor, 1e-12),
                cycle_momentum=False,
            )
            return Schedule(cycle, "step")
        case "cosine":
            cosine = lr_scheduler.CosineAnnealingLR(optimizer, max(total_steps - 1, 1), eta_min=top * end_factor)
            return Schedule(cosine, "step")
    raise ValueError(f"schedule {name!r}: allowed are constant, step, plateau, one-cycle, cosine")


def _with_length(warmup: float, steps: int) -> float:
    """The part of the steps until the top; OneCycleLR divides by zero where a phase has exactly no length."""
    return warmup + 1e-9 if warmup * steps == 1 else warmup


def build_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of all weights and of the batch statistics, moved once a step."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
