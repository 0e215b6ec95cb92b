"""Sums over batches that are divided by the wrong count."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, replaced, text_of
from featherweight.doctor.flow.roles import (
    base_dataset,
    number_of_images,
    role_of,
    sources_of,
)
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    Constant,
    Dataset,
    Loader,
    Number,
    Value,
    constant,
    known,
)


def divisions(trace: Trace) -> Iterator[Draft]:
    """Compare what was added up with what it is divided by."""
    for event in trace.of("divide"):
        number, count = known(event.subject), known(event.value)
        if not isinstance(number, Number):
            continue
        unit = counted(number, count)
        rule = DIVISIONS.get((number.unit, unit))
        running = unit == "batches" and number.unit in ("mean-accuracy", "mean-loss") and not uneven(number)
        if rule is not None and number.summed and not running:
            code, what, why, how = rule
            denominator = denominator_of(event)
            yield Draft(code, event.spot, what.format(total=name_of(number, "The sum"), count=denominator),
                        why.format(total=name_of(number, "the sum"), count=denominator), how,
                        corrected(event, code), "note" if code == "FW507" and number.unit != "hits" else "")
        elif number.unit == "hits" and number.summed and unit == "batch" and event.batch_loop() is None:
            yield Draft("FW506", event.spot, f"`{denominator_of(event)}` counts the last batch only.",
                        f"{name_of(number, 'The sum')} counts right answers of all batches.",
                        "Divide by the number of all images.")
        elif number.unit == "hits" and number.summed and unit == "images":
            yield from other_data(event, number, count)


def uneven(number: Number) -> bool:
    """True for a mean over the batches of validation or test data, whose last batch may be smaller than the others.

    A mean loss of a training is a running value in any case: the network changes from batch to batch.
    """
    loaders = [one for one in sources_of(number) if isinstance(one, Loader)]
    held_out = {"validation", "test"} if number.unit == "mean-loss" else {"validation", "test", ""}
    if not loaders or not {role_of(one) for one in loaders} <= held_out:
        return not loaders and number.unit == "mean-accuracy"
    images, size = number_of_images(loaders[0]), constant(loaders[0].arguments.get("batch_size"))
    return not (isinstance(size, int) and size > 0 and images is not None and images % size == 0)


def counted(number: Number, count: Value) -> str:
    """Return the unit of a divisor. A constant counts images if it is the size of the data set."""
    if isinstance(count, Number):
        return count.unit
    sizes = [number_of_images(one) for one in sources_of(number)]
    return "images" if isinstance(count, Constant) and count.value in [size for size in sizes if size] else ""


DIVISIONS = {
    ("mean-loss", "images"): (
        "FW504", "{total} adds up means of batches, but is divided by the number of images, `{count}`.",
        "Each batch already gave its mean, so the loss is too small by the batch size and prints as 0.0000.",
        "Divide by the number of batches, or add up with reduction='sum'."),
    ("sum-loss", "batches"): (
        "FW505", "{total} adds up the losses of images, but is divided by the number of batches, `{count}`.",
        "The result is too large by the batch size.", "Divide by the number of images."),
    ("hits", "batches"): (
        "FW506", "{total} counts right answers, but is divided by the number of batches, `{count}`.",
        "An accuracy needs the number of images; this value exceeds 1.", "Divide by the number of images."),
    ("mean-accuracy", "images"): (
        "FW506", "{total} adds up accuracies of batches, but is divided by the number of images, `{count}`.",
        "The accuracy is too small by the batch size.", "Divide by the number of batches, or count right answers."),
    ("hits", "full-batches"): (
        "FW507", "`{count}` counts the last batch as a full one.",
        "If the last batch is smaller, the accuracy comes out too low.", "Divide by the number of images."),
    ("full-sum-loss", "images"): (
        "FW507", "{total} weighs the last batch like a full one.",
        "Images of a smaller last batch count more than others.", "Multiply by the number of images in the batch."),
    ("mean-loss", "batches"): (
        "FW507", "{total} weighs the last batch like a full one.",
        "Images of a smaller last batch count more than others.", "Add up loss * images and divide by the images."),
    ("mean-accuracy", "batches"): (
        "FW507", "{total} weighs the last batch like a full one.",
        "Images of a smaller last batch count more than others.", "Add up right answers and divide by the images."),
}


def denominator_of(event: Event) -> str:
    """Return the source of the divisor."""
    node = event.spot.node
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.value)
    return ast.unparse(node.right) if isinstance(node, ast.BinOp) else "the count"


def corrected(event: Event, code: str) -> str:
    """Return the line with the right divisor, where only `.dataset` is too much."""
    denominator = denominator_of(event)
    if code in ("FW504",) and denominator.endswith(".dataset)"):
        return replaced(event.spot, text_of(event.spot, 300).replace(denominator, denominator[:-9] + ")"))
    if code in ("FW505", "FW506") and denominator.startswith("len(") and ".dataset" not in denominator:
        return replaced(event.spot, text_of(event.spot, 300).replace(denominator, denominator[:-1] + ".dataset)"))
    return ""


def other_data(event: Event, number: Number, count: Value) -> Iterator[Draft]:
    """Find right answers of one data set divided by the size of another."""
    loaders = [one for one in sources_of(number) if isinstance(one, Loader)]
    if len(loaders) != 1 or not isinstance(count, Number) or count.of is None:
        return
    loader, own, other = loaders[0], base_dataset(loaders[0]), base_dataset(count.of)
    if isinstance(own, Dataset) and isinstance(other, Dataset) and other.name == "sampler":
        return
    roles = role_of(loader), role_of(count.of)
    if own is not other and all(roles) and roles[0] != roles[1] and isinstance(other, Dataset):
        yield Draft("FW506", event.spot,
                    f"Right answers on {roles[0]} data are divided by the size of the {roles[1]} data.",
                    f"`{denominator_of(event)}` counts other images than {name_of(number, 'the sum')}.",
                    f"Divide by the number of {roles[0]} images.")
    elif own is other and is_subset(loader) and not count.summed:
        yield Draft("FW506", event.spot, f"`{denominator_of(event)}` counts images that the sampler leaves out.",
                    f"`{text_of(loader.spot)}` reads a part of the data set only.", "Divide by len(loader.sampler).")


def is_subset(loader: Loader) -> bool:
    """True for a loader with a SubsetRandomSampler."""
    sampler = known(loader.arguments.get("sampler"))
    return sampler.spot is not None and "SubsetRandomSampler" in text_of(sampler.spot)


RULES = (divisions,)
