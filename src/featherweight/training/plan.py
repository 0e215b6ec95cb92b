"""Settings of one training, and the record of one epoch. The training loop uses both."""

from __future__ import annotations

from dataclasses import dataclass, field

from featherweight.augment import Augmentation
from featherweight.evaluation import Score
from featherweight.tasks import Loss, loss_of
from featherweight.training.measurement import total_loss
from featherweight.training.state import Position, TrainingState


@dataclass(frozen=True)
class Record:
    """Results of one epoch: losses are means per image, accuracies are fractions, one per head."""

    epoch: int                              # counted from 1
    lr: float                               # of the epoch's last step
    train_loss: float                       # running, on augmented images, summed over heads
    train_accuracy: dict[str, float]        # running, on the augmented images of this epoch
    seconds: float                          # of training, without the curve
    curve: dict[str, Score] | None          # on the split that the recipe's curve names
    curve_on: str | None


@dataclass(frozen=True)
class Plan:
    """Settings of one training, as plain values."""

    epochs: int
    batch_size: int
    seed: int
    precision: str = "float32"
    gradient_clip: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: Loss = loss_of
    fraction: float = 1.0           # of the images, in each epoch after the first
    keep_best: bool = False         # the result is the network of the epoch with the lowest validation loss
    balanced: bool = False          # each epoch draws every class equally often
    patience: int = 0               # end after this many epochs without a lower validation loss; 0 is off

    def images(self, count: int, epoch: int) -> int:
        """Number of images used in `epoch`, counted from 0, out of `count` training images."""
        return count if epoch == 0 else max(round(self.fraction * count), min(count, 2))

    def steps(self, count: int, epoch: int = 0) -> int:
        """Optimisation steps of `epoch` for `count` training images.

        The last batch may be short. A last batch of one image is left out.
        """
        full, rest = divmod(self.images(count, epoch), self.batch_size)
        return full + (rest > 1)

    def steps_before(self, count: int, epoch: int) -> int:
        """Steps in all epochs before `epoch`; with `epoch == epochs`, the total."""
        return min(epoch, 1) * self.steps(count) + max(epoch - 1, 0) * self.steps(count, 1)

    def steps_done(self, position: Position, count: int) -> int:
        """Steps taken up to `position`."""
        return self.steps_before(count, position.epoch) + position.step

    def left(self, position: Position, count: int) -> float:
        """Strength of the augmentation at `position`, from 1 down to 0."""
        return self.augmentation.left(self.steps_done(position, count) / self.steps_before(count, self.epochs))

    def watch(self, state: TrainingState, epoch: int, measured: dict[str, Score] | None) -> None:
        """Store the network after `epoch`, counted from 1, if its validation loss is the lowest so far.

        Does nothing unless the plan uses validation. Raises ValueError if `measured` is missing then.
        """
        if self.keep_best or self.patience:
            if measured is None:
                raise ValueError("keeping the best epoch needs a validation loss")
            state.keep_if_best(epoch, total_loss(measured))

    def ended(self, state: TrainingState) -> bool:
        """Return True after the last epoch, and after `patience` epochs without a lower validation loss."""
        done = state.position.epoch
        waited = done - state.best.epoch if state.best is not None else 0
        return done >= self.epochs or 0 < self.patience <= waited
