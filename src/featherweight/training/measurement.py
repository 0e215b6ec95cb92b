"""Run a network on labelled images and score its predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.data import Images
from featherweight.errors import TrainingDiverged
from featherweight.evaluation import Score, score, score_all
from featherweight.forward import as_input, evaluating
from featherweight.tasks import Task, TaskBatch
from featherweight.training.evaluation_pass import evaluation_pass

MANY = 2000     # images, from which on the time to record a network for its passes in C is worth it
NEVER = -100.0  # log-probability of the class "none", which cannot be predicted
CLIP = "training.gradient_clip=1"


@torch.no_grad()
def run_on(
    model: nn.Module, data: Images, task_batches: Iterable[TaskBatch], precision: str, engine: str = "torch",
    batch_size: int = 500, *, none: bool = False,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return log-probabilities (Q x N, classes) and targets (Q x N,), a CPU tensor per head.

    task_batches: Q of them, each for all N images of `data`. precision: "float32" or "bf16".
    engine: that trained the network, "torch" or "compiled". A network that was trained in C also runs in C, if there
    are at least MANY images in all task_batches together.
    none: the last class is "none". It is no prediction, so its log-probability is NEVER.
    """
    answers, truths, task_batches = [], [], list(task_batches)
    engine = engine if len(data) * len(task_batches) >= MANY else "torch"
    example = [as_input(data.pixels(slice(1)), data.mean, data.std), *(value[:1] for value in task_batches[0].inputs)]
    with evaluating(model):
        run = evaluation_pass(model, example, precision=precision, engine=engine)
        for task_batch in task_batches:
            for start in range(0, len(data), batch_size):
                part = slice(start, start + batch_size)
                images = as_input(data.pixels(part), data.mean, data.std)
                outputs = run(images, *(value[part] for value in task_batch.inputs))
                answers.append([log_probabilities(head.float(), none=none).cpu() for head in outputs])
            truths.append([target.cpu() for target in task_batch.targets])
    heads = tuple(torch.cat(parts) for parts in zip(*answers, strict=True))
    return heads, tuple(torch.cat(parts) for parts in zip(*truths, strict=True))


def log_probabilities(outputs: Tensor, *, none: bool) -> Tensor:
    """Return the log-probabilities of outputs (N, classes), with `none` those of all classes but the last."""
    if not none:
        return F.log_softmax(outputs, dim=1)
    return F.pad(F.log_softmax(outputs[:, :-1], dim=1), (0, 1), value=NEVER)


def measure(
    model: nn.Module, data: Images, task: Task, precision: str, engine: str = "torch"
) -> dict[str, Score]:
    """Return the score of each head. A task with several heads adds "both": all heads right at once.

    precision, engine: as in run_on.
    """
    task_batches = task.evaluation_batches(data.labels)
    return score_heads(task, *run_on(model, data, task_batches, precision, engine, none=task.none))


def score_heads(task: Task, answers: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> dict[str, Score]:
    """Return the scores of the results of run_on(). Raises TrainingDiverged if a loss is NaN or infinite."""
    scores = {head: score(a, t) for head, a, t in zip(task.heads, answers, targets, strict=True)}
    if not math.isfinite(total_loss(scores)):
        raise diverged("the measured loss is NaN or infinite: the weights have become too large")
    return scores if len(scores) == 1 else scores | {"both": score_all(answers, targets)}


def total_loss(scores: dict[str, Score]) -> float:
    """Sum of the losses of all heads: the loss that training minimises, in nats."""
    return sum(score.loss for score in scores.values() if score.loss is not None)


def diverged(fact: str, lr: float = 0.01) -> TrainingDiverged:
    """Return the error for a loss that is NaN or infinite. fact: loss and step; lr: learning rate of that step."""
    return TrainingDiverged(f"{fact}. Lower the learning rate, e.g. optimizer.lr={lr / 10:g}, or clip: {CLIP}")
