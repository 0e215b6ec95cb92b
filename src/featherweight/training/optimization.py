"""Build optimizers, schedules and the average of the weights from plain values. Most come from torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from featherweight.training.eager import SGD, Adam, AdamW
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
    """Return the optimizer of this name: sgd, adam, adamw or muon.

    momentum, nesterov: used by sgd and muon only. betas: used by adam, adamw and muon only.
    Raises ValueError for any other name.
    """
    match name:
        case "sgd":
            return SGD(parameters, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True)
        case "adam":
            return Adam(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
        case "adamw":
            return AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
        case "muon":
            return Muon(
                parameters, lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, betas=betas
            )
    raise ValueError(f"optimizer {name!r}: allowed are sgd, adam, adamw, muon")


def move(optimizers: Sequence[torch.optim.Optimizer], lr: float | Tensor) -> None:
    """Do one step of each optimizer at the learning rate `lr`. All optimizers must have the same settings."""
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
    """Set the learning rate of the optimizer inside the block. A scalar tensor is read when the kernels run."""
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
    """A torch scheduler and the time of its updates: after each step, each epoch, or each validation loss."""

    scheduler: lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau
    unit: str           # "step", "epoch" or "plateau"

    def after_step(self) -> None:
        """Update the learning rate after an optimisation step, if the unit is "step"."""
        if self.unit == "step":
            self.scheduler.step()  # type: ignore[call-arg]

    def after_epoch(self, watched_loss: float | None) -> None:
        """Update the learning rate after an epoch, unless the unit is "step".

        watched_loss: validation loss. Raises ValueError if it is None and the unit is "plateau".
        """
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
    """Return the schedule of this name: constant, step, plateau, one-cycle or cosine.

    total_steps: optimisation steps of the whole training. start_factor, end_factor: first and last learning rate,
    divided by the optimizer's lr. That lr is the highest rate. one-cycle does not change the momentum.
    Raises ValueError for any other name.
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
    """Return `warmup`, slightly longer if its phase had length 0: OneCycleLR would divide by zero."""
    return warmup + 1e-9 if warmup * steps == 1 else warmup


def build_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of all weights and batch statistics. Update it once per step."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
