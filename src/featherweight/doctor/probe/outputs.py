"""Rules on the outputs: operations on the logits, softmax, and the number of classes."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import BOUNDED, POOLING, ZEROING, Trail, path_of, trail_of, words_for
from featherweight.graph import Call, calls

SOFTMAX = ("softmax", "log_softmax")
STRONG = 0.5    # dropout on logits: from this rate on, a network cannot learn well


def trails(subject: Subject) -> Iterator[Trail]:
    """Yield the trail of each output of shape (N, classes)."""
    for value, head in zip(subject.record.outputs, subject.outputs, strict=False):
        if isinstance(head, Tensor) and head.dim() == 2 and head.shape[1] > 1:
            yield trail_of(subject, value)


def on_logits(subject: Subject) -> Iterator[Finding]:
    """Find activations, dropout and batch normalisation between the last layer with weights and the outputs."""
    for trail in trails(subject):
        if trail.weighted is None:
            continue
        for place, call in enumerate(trail.calls):
            after, before = trail.calls[:place], trail.calls[place + 1 :]
            mild = any(one.operation in POOLING for one in after)
            mild |= any(one.operation == "batch_norm" for one in before)
            yield from on_logits_of(subject, trail, trail.weighted, call, mild)


def on_logits_of(subject: Subject, trail: Trail, last: Call, call: Call, mild: bool) -> Iterator[Finding]:
    """Yield the finding for one call after the layer `last`.

    mild: True if a mean over pixels follows, or batch normalisation comes before: then no class is always cut.
    """
    layer, what = path_of(call), f"{words_for(call)} stands on the logits, after {words_for(last)}."
    how = f"Remove {words_for(call)} after {words_for(last)}."
    if call.operation in ZEROING | BOUNDED:
        cuts = call.operation in ZEROING
        sure = any(one.operation in SOFTMAX for one in trail.calls) or subject.classes is not None
        yield subject.finding("FW101", layer or path_of(last), what, cut(call) if cuts else
                              "The activation bends or bounds the logits before the softmax.", how,
                              severity="error" if cuts and sure and not mild else "warning")
    elif call.operation in calls.DROPOUTS and (rate := call.given.get("p", 0.5)):
        yield subject.finding("FW102", layer or path_of(last), what,
                              f"In training, the logit of the right class is set to 0 for {100 * rate:g} % of images.",
                              f"Move {words_for(call)} before {words_for(last)}, or remove the dropout.",
                              severity="error" if rate >= STRONG else "warning")
    elif call.operation == "batch_norm":
        yield subject.finding("FW103", layer or path_of(last), what,
                              "Batch normalisation fixes mean and spread of each logit, which limits the confidence.",
                              how)


def cut(call: Call) -> str:
    """Return the reason with the share of zeros on random images, if the activation is known."""
    value = next(iter(call.layer.outputs if call.layer is not None else call.outputs), None)
    tensor = value.tensor if value is not None else None
    share = f" On random images {100 * float((tensor <= 0).float().mean()):.0f} % are 0." if tensor is not None else ""
    return "Negative logits and their gradients become 0, so the softmax cannot tell these classes apart." + share


def softmax(subject: Subject) -> Iterator[Finding]:
    """Find two softmaxes in a row, and outputs that are probabilities."""
    for trail in trails(subject):
        found = [call for call in trail.calls if call.operation in SOFTMAX]
        inner = next((call for call in found[1:] if call.operation == "softmax"), None)
        if inner is not None:
            yield subject.finding("FW204", path_of(inner), f"{words_for(found[0])} follows {words_for(inner)}.",
                                  "The second softmax takes probabilities from 0 to 1, so all its outputs are close.",
                                  f"Remove {words_for(inner)}.")
        elif found and found[0].operation == "softmax":
            yield subject.finding("FW201", path_of(found[0]), f"The network ends in {words_for(found[0])}.",
                                  "Cross-entropy applies a softmax itself: learning is slower, probabilities are flat.",
                                  "Return the logits, or use log_softmax.", severity="warning")


def number_of_classes(subject: Subject) -> Iterator[Finding]:
    """Compare the number of outputs with the number of classes."""
    heads = [head for head in subject.outputs if isinstance(head, Tensor) and head.dim() == 2]
    if not heads or len(heads) != len(subject.outputs) or len(heads) > 1:
        return
    count, classes = heads[0].shape[1], subject.classes
    if classes is None:
        subject.gaps.append(f"number of classes unknown: {count} outputs not compared. Give --classes N")
    elif count != classes:
        last = trail_of(subject, subject.record.outputs[0]).weighted
        few = count < classes
        yield subject.finding(
            "FW113", path_of(last) if last else "", f"The network has {count} outputs for {classes} classes.",
            f"Labels from {count} on have no output." if few else
            f"{count - classes} outputs are never right, and the softmax gives them probability.",
            f"Give the last layer {classes} outputs.", severity="error" if few else "warning")


RULES = (on_logits, softmax, number_of_classes)
