"""Knowledge distillation: compute soft labels of the training images with trained networks.

Source: Hinton et al. (2015), Distilling the Knowledge in a Neural Network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from featherweight.augment import Augmentation, normalise
from featherweight.forward import scaled
from featherweight.networks import example, load_network
from featherweight.runs import Run
from featherweight.tasks import Task, build_task
from featherweight.training.evaluation_pass import EvaluationPass, evaluation_pass

BATCH = 500         # images
SEED = 2015         # of the augmentation: the same for all seeds of a recipe, and after resuming


@dataclass(frozen=True)
class Teacher:
    """The forward pass of a trained network, with the normalisation of its training."""

    forward: EvaluationPass
    task: Task
    classes: int
    mean: Tensor        # (C,), of the teacher's training pixels in [0, 1]
    std: Tensor         # (C,)

    @classmethod
    def of(cls, run: Run, device: torch.device, precision: str = "float32") -> Teacher:
        """Load the network of a finished run onto a device. precision: "float32" or "bf16", of its forward pass."""
        mean, std = (torch.tensor(run.result[key], device=device) for key in ("mean", "std"))
        forward = evaluation_pass(
            load_network(run, device), example(run.recipe, device), precision=precision,
            engine=run.result.get("engine", "torch"),
        )
        return cls(forward, build_task(run.recipe.task), len(run.result["classes"]), mean, std)

    def probabilities(self, images: Tensor, temperature: float) -> Tensor:
        """Return softmax(log-probabilities / temperature), float32 (N, classes). images: (N, C, H, W) in [0, 1]."""
        task_batch = self.task.fixed_batch(torch.zeros(len(images), dtype=torch.int64, device=images.device))
        head = self.forward(normalise(images, self.mean, self.std), *task_batch.inputs)[0]   # class
        return F.softmax(head.float()[:, : self.classes] / temperature, dim=1)


@torch.no_grad()
def soft_labels(
    teachers: Sequence[Teacher],
    images: Tensor,
    augmentation: Augmentation,
    temperature: float,
    device: torch.device,
    tell: Callable[[int], None] = lambda answered: None,
) -> Tensor:
    """Return the mean probabilities of all teachers, float32 (N, classes). images: uint8 (N, C, H, W).

    Each teacher runs on each image twice: unchanged, and augmented once.
    tell(images done) is called before every batch.
    """
    generator = torch.Generator().manual_seed(SEED)        # on the CPU: the same changes on every device
    rows = []
    for start in range(0, len(images), BATCH):
        tell(start)
        still = scaled(images[start : start + BATCH].to(device))
        moved = augmentation.apply(still, augmentation.draw(len(still), generator).to(device))
        answers = [teacher.probabilities(view, temperature) for teacher in teachers for view in (still, moved)]
        rows.append(torch.stack(answers).mean(dim=0))
    return torch.cat(rows)
