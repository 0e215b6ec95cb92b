"""Three training steps on a copy of a network. They find faults before the training and explain them in one line."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from featherweight.blame import explain
from featherweight.devices import layout_for
from featherweight.errors import ModelError
from featherweight.forward import scaled
from featherweight.tasks import Loss, Task
from featherweight.training.eager import SGD
from featherweight.training.step import make_passes
from featherweight.user_code import quietly

BATCHES = (2, 2, 3)     # images; the last is of another size, as the last batch of an epoch may be
REASONS = {             # part of torch's message -> explanation for the author of the network
    "does not require grad": (
        "its outputs carry no gradient. Take .detach(), torch.no_grad(), .numpy() and argmax out of forward."
    ),
    "backward through the graph a second time": (
        "a batch needs the graph of the batch before. Where forward keeps a tensor, such as a hidden state, keep "
        "it without its graph: self.hidden = hidden.detach()"
    ),
    "modified by an inplace operation": (
        "an operation in place changes a tensor that backward needs. Write x = x + y in place of x += y, and "
        "inplace=False."
    ),
    "leaf Variable that requires grad is being used in an in-place": (
        "forward changes a parameter in place. Compute a new tensor from it: w = self.weight * 0.5"
    ),
    "Can't call numpy()": "forward leaves torch for NumPy, which has no gradients. Write it with torch's functions.",
}


def rehearse(
    model: nn.Module, task: Task, images: Tensor, labels: Tensor, *, layout: torch.memory_format | None = None
) -> list[str]:
    """Take three small training steps on a copy; return the names of the parameters that no gradient reaches.

    images: uint8 (N, C, H, W). labels: int64 (N,). layout: memory layout of the images, by default that of training.
    The model and the random state stay unchanged. A model that cannot be copied is not run: the result is [].
    Raises ModelError, one line with the next move, if a step fails.
    """
    check_real(model)
    if (copied := copy_of(model)) is None:
        return []
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        passes = make_passes(copied.train(), Loss(), precision="float32", device=device)
        optimizer = SGD(copied.parameters(), lr=0.0)
        generator, start = torch.Generator(device), 0
        for step, count in enumerate(BATCHES):
            picked = torch.arange(start, start + count) % len(labels)
            batch = scaled(images[picked].to(device)).contiguous(memory_format=layout or layout_for(device))
            try:
                with quietly():
                    passes(batch, task.training_batch(labels[picked].to(device), generator))
                optimizer.step()
            except Exception as fault:  # a user's network may raise any exception
                raise ModelError(f"the network cannot be trained: {why(fault, step, count)}") from fault
            start += count
    return [name for name, parameter in copied.named_parameters() if parameter.grad is None and parameter.requires_grad]


def check_real(model: nn.Module) -> None:
    """Raise ModelError for a complex parameter, as the optimizers here accept real parameters only."""
    for name, parameter in model.named_parameters():
        if parameter.is_complex():
            kind = str(parameter.dtype).removeprefix("torch.")
            raise ModelError(
                f"the network cannot be trained: parameter {name!r} is {kind}. Keep its real and imaginary parts "
                "in real parameters and join them in forward with torch.complex."
            )


def copy_of(model: nn.Module) -> nn.Module | None:
    """Return a copy of the model, or None if Python cannot make one.

    A tensor computed from parameters, as the older weight_norm does, is shared with the model: torch cannot copy it.
    """
    kept = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    try:
        return copy.deepcopy(model, {id(value): value for value in kept if not value.is_leaf})
    except Exception:   # a user's network may hold locks, files or generators
        return None


def why(fault: Exception, step: int, count: int) -> str:
    """Return the reason of a failed step and the next move. For an unknown reason, return torch's own message."""
    for part, reason in REASONS.items():
        if part in str(fault):
            return reason
    told = explain(fault)
    if step == 0:
        return f"a batch of {count} images fails in training mode: {told}"
    return (f"batch {step + 1}, of {count} images, fails after {step} that went well: {told}. "
            "Does forward keep a tensor or a size of an earlier batch?")
