"""Batches of the wrong size or type, and labels that do not begin at 0."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, replaced, text_of
from featherweight.doctor.flow.layers import key_of
from featherweight.doctor.flow.roles import base_dataset, lineage, number_of_classes, number_of_images
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    LABEL,
    PREDICTION,
    Criterion,
    Dataset,
    Loader,
    Module,
    Spot,
    Tensor,
    Value,
    constant,
    known,
)
from featherweight.doctor.rules.network import CLASSIFYING

LETTERS = 26        # classes of the split "letters" of EMNIST, whose labels run from 1 to 26


def batch_size_of(loader: Loader) -> object:
    """Return the batch size that the source states. Without the argument it is 1."""
    return constant(loader.arguments["batch_size"]) if "batch_size" in loader.arguments else 1


def norm_on_single_images(trace: Trace) -> Iterator[Draft]:
    """Find a training with batch normalisation on batches of one image."""
    trained = {id(event.loader) for event in trace.of("backward") if event.loader is not None}
    built = {id(event.subject) for event in trace.of("loader") if event.text != "open"}
    seen = set[int]()
    for event in trace.of("forward"):
        loader, network = event.loader, event.subject
        if loader is None or id(loader) not in (trained & built) - seen or not isinstance(network, Module):
            continue
        norms = [part for part in network.parts() if key_of(part.name).startswith("batchnorm")]
        own_batches = {"batch_sampler", "collate_fn"} & loader.arguments.keys()
        if norms and batch_size_of(loader) == 1 and loader.spot is not None and not own_batches:
            seen.add(id(loader))
            flat = any(key_of(part.name) == "batchnorm1d" for part in norms)
            kind = "BatchNorm1d" if flat else norms[0].name.rpartition(".")[2]
            yield Draft("FW116", loader.spot, f"{name_of(loader, 'The loader')} gives batches of one image to {kind}.",
                        "It has one value for each channel, no variance, and stops with an error." if flat else
                        "Mean and variance are those of one image, so evaluation differs from training.",
                        "Take batches of at least 16 images.", larger(loader),
                        severity="error" if flat else "warning")


def larger(loader: Loader) -> str:
    """Return the loader's line with a batch of 64 images."""
    assert loader.spot is not None
    text = text_of(loader.spot, 500)
    if "batch_size=1" in text:
        return replaced(loader.spot, text.replace("batch_size=1", "batch_size=64"))
    return "" if "batch_size" in loader.arguments else replaced(loader.spot, f"{text[:-1]}, batch_size=64)")


def batch_and_data(trace: Trace) -> Iterator[Draft]:
    """Find a batch that is larger than the data set."""
    for event in trace.of("loader"):
        loader = event.subject
        if not isinstance(loader, Loader):
            continue
        size, images = batch_size_of(loader), number_of_images(loader)
        if isinstance(size, int) and images is not None and size > images > 0:
            dropped = constant(loader.arguments.get("drop_last")) is True
            yield Draft("FW409", event.spot, f"The batch has {size:,} images, the data set {images:,}.",
                        "With drop_last=True there is no batch at all." if dropped else
                        "Each epoch is one step, on all images.",
                        "Take a smaller batch_size.", severity="error" if dropped else "")


def double_data(trace: Trace) -> Iterator[Draft]:
    """Find float64 images that a float32 network gets."""
    if any("set_default_dtype" in event.spot.source.text for event in trace.events[:1]):
        return
    doubled = {id(event.subject) for event in trace.of("move") if event.text in ("double", "type")}
    seen = set[int]()
    for event in trace.of("forward"):
        spot = double_in(event.value)
        if spot is None or event.nested or id(event.subject) in doubled or id(spot.node) in seen or converts(event):
            continue
        seen.add(id(spot.node))
        yield Draft("FW408", spot, f"`{text_of(spot)}` holds float64 numbers.",
                    "Arrays of NumPy are float64, layers are float32: the first layer stops with an error.",
                    "Convert with .float(), or build the tensor with dtype=torch.float32.",
                    replaced(spot, f"{text_of(spot, 300)}.float()") if "torch" in text_of(spot, 300) else "")


def double_weights(trace: Trace) -> Iterator[Draft]:
    """Find float64 weights of the classes in a loss."""
    for event in trace.of("criterion"):
        weights = known(event.value)
        if weights.double is not None:
            yield Draft("FW408", event.spot, "The weights of the classes are float64 numbers.",
                        f"They come from `{text_of(weights.double)}`. The outputs are float32, so the loss stops with "
                        "an error.", "Convert the weights with .float().")


def converts(event: Event) -> bool:
    """True if the network converts its input itself."""
    network = event.subject
    method = network.cls.method("forward") if isinstance(network, Module) and network.cls is not None else None
    text = ast.unparse(method) if method is not None else ""
    return any(word in text for word in (".float()", "float32", ".type(", ".type_as("))


def double_in(value: Value | None) -> Spot | None:
    """Return the place where a network's input became float64: its own, or that of its TensorDataset."""
    value = known(value)
    if value.double is not None:
        return value.double
    for source in value.origin if isinstance(value, Tensor) else ():
        dataset = base_dataset(source)
        if isinstance(dataset, Dataset) and dataset.tensors and dataset.tensors[0].double is not None:
            return dataset.tensors[0].double
    return None


def labels_off_by_one(trace: Trace) -> Iterator[Draft]:
    """Find labels of the loss that do not begin at 0, and an accuracy that counts other labels than the loss."""
    for event in trace.of("loss"):
        target, output = event.other, event.value
        if not isinstance(target, Tensor) or target.meaning != LABEL or target.maybe:
            continue
        if not isinstance(event.subject, Criterion) or event.subject.name not in CLASSIFYING:
            continue
        classes = next((count for count in map(number_of_classes, target.origin) if count), None)
        if target.shift and classes is not None:
            yield Draft("FW410", event.spot, f"The loss gets labels with {target.shift:+d}.",
                        f"Labels of this data set run from 0 to {classes - 1}; here they run from {target.shift} to "
                        f"{classes - 1 + target.shift}.", "Use the labels as the data set gives them.")
        elif not target.shift and has_letters(target) and width_of(output) == LETTERS:
            yield Draft("FW410", event.spot, "Labels of the letters of EMNIST run from 1 to 26.",
                        "The network has 26 outputs, 0 to 25: label 26 has none.", "Subtract 1 from the labels.",
                        line_with_shift(event))
        if target.shift:
            yield from other_labels(trace, event, target)


def has_letters(target: Tensor) -> bool:
    """True for labels of EMNIST's split "letters"."""
    sets = [one for source in target.origin for one in lineage(source)]
    return any(one.name == "EMNIST" and one.split == "letters" and one.shift is not None for one in sets)


def width_of(output: Value | None) -> int | None:
    """Return the number of outputs of the network's last layer."""
    return output.trail[0].outputs if isinstance(output, Tensor) and output.trail else None


def line_with_shift(event: Event) -> str:
    """Return the loss's line with the labels less 1."""
    text = text_of(event.spot, 300)
    label = event.other.label if event.other is not None else ""
    return replaced(event.spot, f"{text.rpartition(label)[0]}{label} - 1{text.rpartition(label)[2]}") if (
        label and label in text) else ""


def other_labels(trace: Trace, loss: Event, target: Tensor) -> Iterator[Draft]:
    """Yield a draft for each comparison of predictions with labels of another shift than those of the loss."""
    for event in trace.of("compare"):
        sides = [known(event.subject), known(event.value)]
        labels = [one for one in sides if isinstance(one, Tensor) and one.meaning == LABEL]
        guesses = [one for one in sides if isinstance(one, Tensor) and one.meaning == PREDICTION]
        if len(labels) == len(guesses) == 1 and labels[0].shift != target.shift:
            yield Draft("FW410", event.spot, "The accuracy compares predictions with other labels than the loss.",
                        f"The loss at {loss.spot.where} gets labels with {target.shift:+d}, the comparison with "
                        f"{labels[0].shift:+d}.", "Shift the labels in both places, or in none.")


RULES = (norm_on_single_images, batch_and_data, double_data, double_weights, labels_off_by_one)
