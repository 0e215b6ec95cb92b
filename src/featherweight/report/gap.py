"""Compare training accuracy with test accuracy in a sentence, and name only causes that the run has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from featherweight.recipe import Recipe
from featherweight.statistics import wilson_interval
from featherweight.words import percent

WIDE, HARDER = 0.005, -0.002    # differences that are worth a sentence: training minus test accuracy, fractions
DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
FADED = 0.1                     # augmentation below this fraction of its strength is no cause


def gap(result: Mapping[str, Any], head: str, fraction: float = 1.0, causes: Sequence[str] = ()) -> str:
    """Return a sentence that compares training accuracy with test accuracy.

    fraction: share of the training images used in the epoch. Below 1, the hardest images were preferred.
    causes: reasons, in this run, for a training accuracy below that of the trained network.
    """
    train, score = result["train"]["accuracy"][head], result["test"][head]
    test = score["accuracy"]
    when = f"epoch {result['kept']['epoch']}" if "kept" in result else "the last epoch"
    told = f"In {when} the network classified {percent(train)} of the training images correctly, "
    told += f"on test {percent(test)}: "
    if fraction < 1:
        return told + f"it took {percent(fraction, 0)} of the training images, half of them the hardest."
    low, high = wilson_interval(score["correct"], score["count"])
    if low <= train <= high:
        return told + f"no difference that {score['count']:,} test images can show."
    if train - test > WIDE:
        return told + f"a gap of {100 * (train - test):.2f} points. It knows its training images better than new ones."
    if train - test < HARDER:
        return told + (f"training was harder: {' and '.join(causes)}." if causes else
                       "the test images were easier. The recipe and the network's layers show no reason.")
    return told + "hardly a gap."


def causes_of(recipe: Recipe, network: nn.Module, accuracies: Sequence[float], epoch: int) -> list[str]:
    """Return the reasons of a run for a training accuracy below that of the trained network, as clauses.

    accuracies: training accuracy of each epoch. epoch: the one that is compared, counted from 1.
    """
    dropout = any(isinstance(part, DROPOUT) and part.p > 0 for part in network.modules())
    found = {
        "its images were augmented": augments(recipe, epoch),
        "dropout was on": dropout,
        "it includes drawn images": recipe.data.strokes + recipe.data.marks > 0,
        "its accuracy is that of the weights before averaging": recipe.training.ema > 0,
        "its accuracy is an average over the epoch, while the network still improved": improved(accuracies, epoch),
    }
    return [clause for clause, holds in found.items() if holds]


def augments(recipe: Recipe, epoch: int) -> bool:
    """Return True if the recipe augments the images of an epoch, counted from 1, with at least FADED of its strength.

    The strength of a fading augmentation decreases linearly to 0 at the end of all epochs.
    """
    values = recipe.augmentation.model_dump()
    fade, crop = values.pop("fade"), values.pop("crop") * values.pop("crop_probability")
    left = (recipe.training.epochs - epoch + 0.5) / recipe.training.epochs      # in the middle of the epoch
    return (crop > 0 or any(values.values())) and (fade == 0 or left >= FADED * fade)


def improved(accuracies: Sequence[float], epoch: int) -> bool:
    """Return True for epoch 1, and for an epoch in which the training accuracy rose by more than 0.2 points."""
    return epoch == 1 or accuracies[epoch - 1] - accuracies[epoch - 2] > -HARDER
