"""Rules on the first training steps: losses, the repeated batch, gradients, dead units and activations."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.layers import dead_units
from featherweight.doctor.probe.trail import path_of, words_for
from featherweight.doctor.trying.attempt import STEPS, Attempt
from featherweight.graph import Call

HIGH, LOW = 2.0, 0.5        # first loss, as a multiple of that of equal probabilities
FALLEN = 0.995              # loss of the first batch after the steps, as a fraction of that before
LEARNT = 0.8                # last loss of the repeated batch, as a fraction of the first one
ENDS = 5                    # last losses; the lowest counts
RATIO = 1e-4                # smallest relative gradient of a layer, as a fraction of the largest
WIDE, NARROW = 1e3, 1e-4    # standard deviation of a layer's outputs
FLAT = 0.9                  # share of outputs at the ends of a sigmoid or tanh
NEAR_END = 0.01             # distance from the ends, as a fraction of their difference
ENDS_OF = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def first_loss(attempt: Attempt) -> Iterator[Finding]:
    """Compare the first loss with that of equal probabilities."""
    start, guess = attempt.losses[0], attempt.guess
    if not math.isfinite(start):
        return
    what = f"The first loss is {start:.2f}; equal probabilities give ln(classes) = {guess:.2f}."
    if start > HIGH * guess:
        yield attempt.subject.finding("FW801", "", what, "The first outputs are too large: the network is sure of "
                                      "wrong classes, and the first steps only undo that.",
                                      "Use torch's default initial values, and normalise the images.")
    elif start < LOW * guess:
        yield attempt.subject.finding("FW801", "", what, "The network knows the classes before its first step.",
                                      "This is right for trained weights only. Else look for labels among the inputs.",
                                      severity="note")


def falling(attempt: Attempt) -> Iterator[Finding]:
    """Find a loss that is NaN or infinite, and a loss that does not fall."""
    losses = attempt.losses
    if attempt.diverged:
        yield attempt.subject.finding(
            "FW804", "", f"The loss is {attempt.after} in step {len(losses)} of {STEPS}.",
            f"{attempt.optimizer} makes the weights too large; no later step can repair them.",
            "Lower the learning rate, and look for a division or logarithm of 0.")
        return
    if attempt.after > FALLEN * losses[0]:
        yield attempt.subject.finding(
            "FW803", "", f"{STEPS} steps brought the loss of the first batch from {losses[0]:.3f} to "
            f"{attempt.after:.3f}.",
            f"{attempt.optimizer} should lower it; equal probabilities give {attempt.guess:.3f}.",
            "Try another learning rate. If one batch is not learnt either (FW802), look at the network.")


def one_batch(attempt: Attempt) -> Iterator[Finding]:
    """Find a network that cannot learn one small batch, which any network with enough parameters can."""
    losses = attempt.repeated
    if not math.isfinite(losses[-1]) or not math.isfinite(losses[0]):
        return
    first, last = losses[0], min(losses[-ENDS:])
    if last > LEARNT * min(first, attempt.guess):
        yield attempt.subject.finding(
            "FW802", "", f"{len(losses)} steps on the same {attempt.images} images leave the loss at {last:.3f}.",
            f"It was {first:.3f} before; a healthy network learns these images, and the loss falls towards 0.",
            "Look for an activation or dropout on the logits, detach(), dead units, or frozen layers.")


def gradients(attempt: Attempt) -> Iterator[Finding]:
    """Find layers whose gradient is far smaller, relative to their weights, than that of another layer."""
    found = {name: size for name, size in attempt.gradients.items() if size > 0 and math.isfinite(size)}
    if len(found) < 2:
        return
    weakest, strongest = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    if found[weakest] < RATIO * found[strongest]:
        yield attempt.subject.finding(
            "FW805", weakest.rpartition(".")[0],
            f"The gradient of {weakest} is {found[strongest] / found[weakest]:,.0f} times weaker than that of "
            f"{strongest}.",
            f"Relative to the weights they are {found[weakest]:.1e} and {found[strongest]:.1e}, so one layer stands "
            "still.",
            "Use ReLU in place of sigmoid or tanh, batch normalisation, or shortcuts around layers.")


def dead(attempt: Attempt) -> Iterator[Finding]:
    """Find ReLU layers in which nearly all units are 0 for all test images."""
    for call, count, units in dead_units(attempt.subject):
        yield attempt.subject.finding(
            "FW806", path_of(call), f"{count} of {units} units of {words_for(call)} are dead after {STEPS} steps.",
            f"They are 0 for each of {attempt.subject.record.batch} test images, so no gradient passes them.",
            "Lower the learning rate, and check the first weights and biases before this layer.")


def ranges(attempt: Attempt) -> Iterator[Finding]:
    """Find layers whose outputs are far too large or too small, and sigmoids and tanhs at their ends."""
    for call in attempt.subject.record.calls:
        tensor = tensor_of(call)
        if tensor is None or tensor.numel() < 2 or call.operation in ("softmax", "log_softmax"):
            continue
        spread = float(tensor.float().std())
        if spread > WIDE or spread < NARROW:
            effect = "large values make steps too long" if spread > WIDE else "all images look alike"
            yield attempt.subject.finding(
                "FW807", path_of(call), f"The outputs of {words_for(call)} have a standard deviation of {spread:.2g}.",
                f"Usual is 0.1 to 10; {effect}.",
                "Normalise the images, use torch's default initial values, or add batch normalisation.")
            return
        if (ends := ENDS_OF.get(call.operation)) and (share := share_at(tensor, *ends)) > FLAT:
            yield attempt.subject.finding(
                "FW807", path_of(call), f"{100 * share:.0f} % of the outputs of {words_for(call)} are at its ends.",
                "There its slope is nearly 0, so hardly any gradient passes.",
                "Use ReLU, or batch normalisation before the layer.")
            return


def tensor_of(call: Call) -> Tensor | None:
    """Return the activations of the layer that made a call, or None if they were not kept."""
    values = call.layer.outputs if call.layer is not None else call.outputs
    tensor = values[0].tensor if values else None
    return tensor if tensor is not None and tensor.is_floating_point() else None


def share_at(tensor: Tensor, low: float, high: float) -> float:
    """Return the share of values that are near `low` or `high`."""
    room = NEAR_END * (high - low)
    return float(((tensor < low + room) | (tensor > high - room)).float().mean())


RULES = (first_loss, falling, one_batch, gradients, dead, ranges)
