"""THE loop, in the order in which things happen. It touches no disk: it yields a record an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.augment import Augmentation, normalise
from featherweight.environment import layout_for
from featherweight.errors import TrainingDiverged
from featherweight.evaluation import Score, score, score_all
from featherweight.tasks import Loss, Question, Task, as_heads, ask, loss_of
from featherweight.training.count import Count
from featherweight.training.optimization import move
from featherweight.training.order import epoch_order, selected_order
from featherweight.training.recorded import Work, recorded
from featherweight.training.state import Position, TrainingState
from featherweight.training.step import autocast, evaluating, make_passes


@dataclass(frozen=True)
class Images:
    """One split on the device of the training: uint8 (N, C, H, W), int64 (N,), and how to normalise it."""

    images: Tensor
    labels: Tensor
    mean: Tensor                    # (C,), of training pixels in [0, 1]
    std: Tensor                     # (C,)
    soft: Tensor | None = None      # (N, classes), what a teacher takes them for

    def __len__(self) -> int:
        return len(self.labels)

    def ask(self, task: Task, picked: Tensor, generator: torch.Generator) -> Question:
        """A task's question about the images at int64 (n,) indices."""
        return task.ask(self.labels[picked], generator, None if self.soft is None else self.soft[picked])


@dataclass(frozen=True)
class Record:
    """What one epoch gave. Losses are means an image, accuracies fractions, one for each head."""

    epoch: int                              # counted from 1
    lr: float                               # of the epoch's last step
    train_loss: float                       # running, on augmented images, summed over heads
    train_accuracy: dict[str, float]        # running, on augmented images, those that the epoch took
    seconds: float                          # of training, without the curve
    curve: dict[str, Score] | None          # on the split that the recipe's curve names
    curve_on: str | None


@dataclass(frozen=True)
class Plan:
    """The plain numbers of one training."""

    epochs: int
    batch_size: int
    seed: int
    precision: str = "float32"
    gradient_clip: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: Loss = loss_of
    fraction: float = 1.0           # of the images, in each epoch after the first
    keep_best: bool = False         # the network of the epoch with the lowest validation loss is the result
    patience: int = 0               # epochs without a lower validation loss that end the training; 0 is off

    def images(self, count: int, epoch: int) -> int:
        """How many of this many images an epoch takes, epochs counted from 0."""
        return count if epoch == 0 else max(round(self.fraction * count), min(count, 2))

    def steps(self, count: int, epoch: int = 0) -> int:
        """Optimisation steps of an epoch for this many images; the last batch may be short, but never one image."""
        full, rest = divmod(self.images(count, epoch), self.batch_size)
        return full + (rest > 1)

    def steps_before(self, count: int, epoch: int) -> int:
        """Optimisation steps of all epochs before this one; before that after the last they are all there are."""
        return min(epoch, 1) * self.steps(count) + max(epoch - 1, 0) * self.steps(count, 1)

    def steps_done(self, position: Position, count: int) -> int:
        """Optimisation steps that a training with this many images has taken."""
        return self.steps_before(count, position.epoch) + position.step

    def left(self, position: Position, count: int) -> float:
        """How much of the augmentation is left, of 1, where a training with this many images stands."""
        return self.augmentation.left(self.steps_done(position, count) / self.steps_before(count, self.epochs))

    def watch(self, state: TrainingState, epoch: int, measured: dict[str, Score] | None) -> None:
        """Keep the network after this epoch, counted from 1, if the plan watches validation and it is the best yet."""
        if self.keep_best or self.patience:
            if measured is None:
                raise ValueError("keeping the best epoch needs a validation loss")
            state.keep_if_best(epoch, total_loss(measured))

    def ended(self, state: TrainingState) -> bool:
        """Return True after the last epoch, and when the patience is at its end."""
        done = state.position.epoch
        waited = done - state.best.epoch if state.best is not None else 0
        return done >= self.epochs or 0 < self.patience <= waited


OnStep = Callable[[TrainingState, int], None]

APART = {"cuda": 20}    # steps between two looks at a device that works on while nobody looks; elsewhere 1


def train(
    state: TrainingState,
    data: Images,
    task: Task,
    plan: Plan,
    *,
    curve: tuple[str, Images] | None = None,
    on_step: OnStep = lambda state, steps: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Record]:
    """Train from where the state stands to the last epoch, or to the end of patience, yielding a Record after each.

    curve: the name and images that are measured after every epoch; a plateau schedule and the plan watch them.
    on_step is called after every step, on a GPU after every APART steps, with the state and the steps of an epoch. When
    should_stop says so the generator ends after such a step or epoch, and state is what a resume needs.
    Raises TrainingDiverged when the loss is no longer a number.
    """
    position, device = state.position, data.images.device
    count, apart = Count([position], len(task.heads), device), APART.get(device.type, 1)
    advance = recorded(make_advance(state, data, task, plan, count), device, [state.generator])
    while not plan.ended(state) and not should_stop():
        state.model.train()
        order, steps = open_epoch(state, plan, len(data)).to(device), plan.steps(len(data), position.epoch)
        started = time.perf_counter()
        while position.step < steps:
            picked = order[position.step * plan.batch_size :][: plan.batch_size]
            lr = state.optimizer.param_groups[0]["lr"]
            advance(picked, plan.left(position, len(data)), lr)
            state.schedule.after_step()
            if state.average is not None:
                state.average.update_parameters(state.model)
            position.step, count.seen = position.step + 1, count.seen + len(picked)
            if position.step % apart and position.step < steps:
                continue
            look(position, count, lr)
            position.spend(time.perf_counter() - started)
            on_step(state, steps)
            if should_stop() and position.step < steps:
                return
            started = time.perf_counter()
        measured = measure(state.trained, curve[1], task, plan.precision) if curve else None
        state.schedule.after_epoch(total_loss(measured) if measured else None)
        plan.watch(state, position.epoch + 1, measured)
        count.clear()
        yield close_epoch(state, task, lr, measured, curve[0] if curve else None)


def make_advance(state: TrainingState, data: Images, task: Task, plan: Plan, count: Count) -> Work:
    """What is done with one batch, from indices to moved weights: (int64 (N,), augmentation left, learning rate)."""
    learn = make_learn(state, data, task, plan, count)

    def advance(picked: Tensor, left: float | Tensor, lr: float | Tensor) -> None:
        learn(prepare([data], [picked], plan.augmentation, left, [state.generator]), picked)
        move([state.optimizer], lr)

    return advance


def make_learn(
    state: TrainingState, data: Images, task: Task, plan: Plan, count: Count
) -> Callable[[Tensor, Tensor], None]:
    """What a network makes of one batch, up to the gradients of its weights: (inputs (N, C, H, W), int64 (N,))."""
    device, clip = data.images.device, plan.gradient_clip
    passes = make_passes(state.model, plan.loss, precision=plan.precision, device=device, gradient_clip=clip)

    def learn(images: Tensor, picked: Tensor) -> None:
        question = data.ask(task, picked, state.generator)
        loss, outputs = passes(images, question)
        count.add(loss, [head[None] for head in as_heads(outputs)], [target[None] for target in question.targets])
        if state.losses is not None:
            state.losses[picked] = plan.loss.each(outputs, question.targets, question.soft)

    return learn


def open_epoch(state: TrainingState, plan: Plan, count: int) -> Tensor:
    """The order of the epoch's images. One that depends on losses is kept, since these change while it is trained."""
    epoch = state.position.epoch
    if plan.fraction < 1 and state.losses is None:
        state.losses = torch.full((count,), math.inf, device=state.generator.device)
    if state.losses is None or epoch == 0:
        return epoch_order(count, plan.seed, epoch)
    if state.order is None or state.position.step == 0:
        state.order = selected_order(state.losses.cpu(), plan.images(count, epoch), plan.seed, epoch)
    return state.order


def prepare(
    data: Sequence[Images], picked: Iterable[Tensor], augmentation: Augmentation, left: float | Tensor,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """The input of one network, or of several, one after another: (R x N, C, H, W) float32, augmented, normalised."""
    images = torch.cat([own.images[rows] for own, rows in zip(data, picked, strict=True)]).float().div_(255)
    images = augmentation(images, *generators, left=left)
    return normalise(images, data[0].mean, data[0].std).contiguous(memory_format=layout_for(images.device))


def look(position: Position, count: Count, lr: float) -> None:
    """Take over what is counted; stop where the loss is no number."""
    count.write([position])
    if not math.isfinite(position.loss_sum):
        raise TrainingDiverged(
            f"the loss became {position.loss_sum} in epoch {position.epoch + 1}, step {position.step}, at learning "
            f"rate {lr:g}. Lower it, e.g. optimizer.lr={lr / 10:g}, or clip: training.gradient_clip=1"
        )


def close_epoch(
    state: TrainingState, task: Task, lr: float, measured: dict[str, Score] | None, curve_on: str | None
) -> Record:
    """The finished epoch's record; the position moves to the start of the next."""
    position = state.position
    accuracy = {head: right / position.seen for head, right in zip(task.heads, position.correct, strict=True)}
    record = Record(
        epoch=position.epoch + 1, lr=lr, train_loss=position.loss_sum / position.seen, train_accuracy=accuracy,
        seconds=position.epoch_seconds, curve=measured, curve_on=curve_on,
    )
    position.next_epoch()
    return record


@torch.no_grad()
def answer(
    model: nn.Module, data: Images, questions: Iterable[Question], precision: str, batch_size: int = 500
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """All log-probabilities and targets for every question about the data: one CPU tensor a head."""
    answers, truths = [], []
    with evaluating(model), autocast(precision, data.images.device):
        for question in questions:
            for start in range(0, len(data), batch_size):
                part = slice(start, start + batch_size)
                images = normalise(data.images[part].float().div_(255), data.mean, data.std)
                images = images.contiguous(memory_format=layout_for(images.device))
                outputs = ask(model, images, *(value[part] for value in question.inputs))
                answers.append([F.log_softmax(head.float(), dim=1).cpu() for head in outputs])
            truths.append([target.cpu() for target in question.targets])
    heads = tuple(torch.cat(parts) for parts in zip(*answers, strict=True))
    return heads, tuple(torch.cat(parts) for parts in zip(*truths, strict=True))


def measure(model: nn.Module, data: Images, task: Task, precision: str) -> dict[str, Score]:
    """The score of each head, and of "both" (all heads right at once) where there are several."""
    return score_heads(task, *answer(model, data, task.ask_all(data.labels), precision))


def score_heads(task: Task, answers: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> dict[str, Score]:
    """What answer() gave, as scores; TrainingDiverged where the weights no longer give numbers."""
    scores = {head: score(a, t) for head, a, t in zip(task.heads, answers, targets, strict=True)}
    if not math.isfinite(total_loss(scores)):
        raise TrainingDiverged(
            "the measured loss is no number: the weights have grown beyond all bounds. Lower the learning rate, e.g. "
            "optimizer.lr=0.001, or clip: training.gradient_clip=1"
        )
    return scores if len(scores) == 1 else scores | {"both": score_all(answers, targets)}


def total_loss(scores: dict[str, Score]) -> float:
    """The loss that training minimises: the sum over the heads that have one."""
    return sum(score.loss for score in scores.values() if score.loss is not None)
