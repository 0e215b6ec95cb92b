"""Mistakes with data sets, loaders and transforms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from featherweight.doctor.draft import Draft, line_of, name_of, replaced, text_of
from featherweight.doctor.flow.roles import certain_role, lineage, role_in, role_of, words_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import (
    Dataset,
    Loader,
    Spot,
    Transform,
    Value,
    constant,
    known,
)
from featherweight.doctor.syntax import called

RANDOM = ("Random", "ColorJitter", "AutoAugment", "RandAugment", "TrivialAugment", "AugMix", "ElasticTransform")
SIGNS = ("MNIST", "EMNIST", "KMNIST", "QMNIST", "USPS", "SVHN")     # digits, letters and characters
SIGN_WORDS = {"digit", "digits", "letter", "letters"}
FLIPS = ("RandomHorizontalFlip", "RandomVerticalFlip")


def datasets(trace: Trace) -> list[Dataset]:
    """Return the data sets that the file builds."""
    return [event.subject for event in trace.of("dataset") if isinstance(event.subject, Dataset)]


def random_on_test(trace: Trace) -> Iterator[Draft]:
    """Find random transforms in the transform of test data."""
    for dataset in datasets(trace):
        role = role_of(dataset)
        if role not in ("test", "validation") or (role_in(dataset.label) == "train" and not dataset.certain):
            continue
        for step, spot in random_steps(dataset):
            yield Draft("FW401", spot, f"{step} changes the {role} images at random.",
                        f"{name_of(dataset, 'The data set')} gives other images in each epoch, so accuracies of "
                        "two epochs cannot be compared.", f"Remove {step} from the transform of the {role} data.")


def random_steps(dataset: Dataset) -> list[tuple[str, Spot]]:
    """Return name and place of each random step in the transform of a data set."""
    transform = known(dataset.transform)
    steps = transform.steps if isinstance(transform, Transform) else []
    return [(name_in(spot) or name, spot) for name, _, spot in steps if name.startswith(RANDOM)]


def name_in(spot: Spot) -> str:
    """Return the name of what a call builds: HorizontalFlip of A.HorizontalFlip(p=0.5)."""
    return called(spot.node)


def flipped_signs(trace: Trace) -> Iterator[Draft]:
    """Find flips of digits or letters."""
    for dataset in datasets(trace):
        transform = known(dataset.transform)
        for name, _, spot in transform.steps if isinstance(transform, Transform) and shows_signs(dataset) else ():
            if name in FLIPS:
                yield Draft("FW412", spot, f"{name} mirrors the signs of {dataset.name}.",
                            "A mirrored 2, 3 or 7 is no digit, and an upside-down 6 is a 9 with the label 6.",
                            f"Remove {name}; rotate by up to 15 degrees instead.")


def shows_signs(dataset: Dataset) -> bool:
    """True for images of digits or letters."""
    return dataset.name in SIGNS or bool(SIGN_WORDS & set(words_of(dataset.name)))


def shared_transform(trace: Trace) -> Iterator[Draft]:
    """Find a transform that is set for one part of a data set, and so for all parts."""
    for event in trace.of("transform"):
        roles = {role_of(one.subject) for one in trace.of("loader") if isinstance(one.subject, Loader)
                 and event.subject in lineage(one.subject)}
        if "train" in roles and roles & {"validation", "test"}:
            yield Draft("FW413", event.spot, f"`{text_of(event.spot)}` is the transform of the training data too.",
                        "The parts of a split read one data set: training loses its augmentation, or validation gets "
                        "it.", "Build the data set twice, once with each transform, and take a Subset of each.")


def augmented_validation(trace: Trace) -> Iterator[Draft]:
    """Find validation images that are a part of the augmented training data."""
    trained = {id(one) for event in trace.of("backward") if event.loader is not None for one in lineage(event.loader)}
    seen = set[int]()
    for event in trace.of("loader"):
        for dataset in lineage(event.subject) if role_of(event.subject) == "validation" else ():
            random = random_steps(dataset)
            if random and id(dataset) in trained and id(dataset) not in seen and dataset.parent is None:
                seen.add(id(dataset))
                yield Draft("FW413", event.spot, f"{name_of(event.subject, 'The loader')} gives augmented images.",
                            f"It reads a part of {name_of(dataset, 'the training data')}, and {random[0][0]} "
                            "changes all images at random.",
                            "Build the data set twice, once with each transform, and take a Subset of each.",
                            severity="warning")


def normalisation_of(transform: Value | None) -> tuple[Any, Spot] | None:
    """Return ((mean, std), spot) of the last Normalize of a transform, or None."""
    transform = known(transform)
    if not isinstance(transform, Transform):
        return None
    found = [(arguments, spot) for name, arguments, spot in transform.steps if name == "Normalize"]
    if not found:
        return None
    arguments, spot = found[-1]
    return (constant(arguments.get("mean")), constant(arguments.get("std"))), spot


def agrees(first: Value | None, second: Value | None) -> bool:
    """True if two transforms normalise alike, as far as the source states it."""
    a, b = normalisation_of(first), normalisation_of(second)
    if a is None or b is None:
        return a is b
    return None in a[0] or None in b[0] or a[0] == b[0]


def roles_by_loader(trace: Trace) -> dict[int, str]:
    """Return the role of each data set that loaders of one role read, whole or in part, by id."""
    found: dict[int, set[str]] = {}
    for event in trace.of("loader"):
        for dataset in lineage(event.subject) if isinstance(event.subject, Loader) else ():
            found.setdefault(id(dataset), set()).add(role_of(event.subject))
    return {key: roles.pop() for key, roles in found.items() if len(roles) == 1}


def different_normalisation(trace: Trace) -> Iterator[Draft]:
    """Find test data that are normalised otherwise than the training data."""
    used = roles_by_loader(trace)
    known_roles = [(one, used.get(id(one)) or role_of(one)) for one in datasets(trace)]
    trained = [one for one, role in known_roles if role == "train" and isinstance(known(one.transform), Transform)]
    for test, role in known_roles:
        transform = known(test.transform)
        if role not in ("test", "validation") or not isinstance(transform, Transform):
            continue
        same_kind = [one for one in trained if one.name == test.name]
        if not same_kind or any(agrees(one.transform, transform) for one in same_kind):
            continue
        train = same_kind[-1]
        first, second = normalisation_of(train.transform), normalisation_of(transform)
        stated = [one for one in (first, second) if one is not None and None not in one[0]]
        spot = second[1] if second else transform.spot or test.spot
        if spot is not None:
            here = f"mean {stated[-1][0][0]}" if second and stated else "other values" if second else "no normalisation"
            there = f"mean {stated[0][0][0]}" if first and stated else "other values" if first else "no normalisation"
            yield Draft("FW402", spot, f"{name_of(test, 'The test data')} is normalised otherwise than "
                        f"{name_of(train, 'the training data')}.",
                        f"The network was trained with {there} and is measured with {here}.",
                        "Use the same Normalize for both.", line_of(first[1]) if first else "")


def fitted_on_test(trace: Trace) -> Iterator[Draft]:
    """Find a scaler that is fitted to the training data and then again to test data."""
    fits = [event for event in trace.of("use") if event.text in ("fit", "fit_transform") and event.value is not None]
    for event in fits:
        before = [one for one in fits if one.index < event.index and one.subject is event.subject]
        role = role_of(event.value)
        if role in ("test", "validation") and any(role_of(one.value) not in ("test", "validation") for one in before):
            yield Draft("FW402", event.spot, f"The scaler is fitted again to the {role} data.",
                        f"The training data have the mean of {before[0].spot.where}, the {role} data their own.",
                        "Call transform for all data but the training data.",
                        replaced(event.spot, text_of(event.spot, 300).replace("fit_transform", "transform"))
                        if event.text == "fit_transform" else "")


def fitted_before_split(trace: Trace) -> Iterator[Draft]:
    """Find a scaler that is fitted to arrays which are split into training and test data."""
    for split in trace.of("split"):
        arrays = known(split.subject)
        for event in trace.of("use"):
            if event.text not in ("fit", "fit_transform") or event.value is None or not is_scaler(event.subject):
                continue
            before = event.index < split.index and arrays.spot is not None and arrays.spot.node is event.spot.node
            if event.value is arrays or before:
                yield Draft("FW510", event.spot, f"The scaler is fitted to `{text_of(argument_of(event.spot))}`, which "
                            "holds the test data too.",
                            f"{split.spot.where.capitalize()} splits these data: mean and deviation of the test images "
                            "enter the training.", "Split first, then fit the scaler to the training data only.")


def is_scaler(value: Value | None) -> bool:
    """True for an object that a class such as StandardScaler or PCA of scikit-learn builds."""
    spot = known(value).spot
    name = name_in(spot) if spot is not None else ""
    return name.endswith("Scaler") or name in ("PCA", "SimpleImputer", "QuantileTransformer", "PowerTransformer")


def argument_of(spot: Spot) -> Spot:
    """Return the first argument of a call, or the call."""
    node = spot.node
    return Spot(spot.source, node.args[0]) if isinstance(node, ast.Call) and node.args else spot


def shuffling(trace: Trace) -> Iterator[Draft]:
    """Find training loaders that do not shuffle, and test loaders that do."""
    used = {id(event.loader) for event in trace.of("step", "backward") if event.loader is not None}
    used |= {id(event.value) for event in trace.of("use") if event.text == "run" and role_of(event.value) == "train"}
    measured = {id(event.loader) for event in trace.of("forward") if event.loader is not None}
    for event in trace.of("loader"):
        loader = event.subject
        if not isinstance(loader, Loader):
            continue
        given = loader.arguments.get("shuffle")
        shuffled = constant(given, "unknown") if given is not None else False
        own_order = any(name in loader.arguments for name in ("sampler", "batch_sampler"))
        role, name = role_of(loader), name_of(loader, "the loader")
        mapped = isinstance(known(loader.dataset), Dataset)
        if id(loader) in used and mapped and role != "test" and shuffled is False and not own_order and not event.text:
            yield Draft("FW405", event.spot, f"{name} gives the training images in the same order in each epoch.",
                        "Each batch holds the same images in every epoch, and sorted classes come one after another.",
                        "Pass shuffle=True.", shuffled_line(event.spot))
        if role == "test" and shuffled is True and id(loader) in measured and id(loader) not in used:
            yield Draft("FW406", event.spot, f"{name} shuffles the test images.",
                        "The result is the same, but predictions cannot be matched with images afterwards.",
                        "Pass shuffle=False.", replaced(event.spot, text_of(event.spot, 500).replace(
                            "shuffle=True", "shuffle=False")))


def shuffled_line(spot: Spot) -> str:
    """Return the loader's line with shuffle=True."""
    text = text_of(spot, 500)
    if "shuffle=False" in text:
        return replaced(spot, text.replace("shuffle=False", "shuffle=True"))
    return replaced(spot, f"{text[:-1]}, shuffle=True)")


def test_is_train(trace: Trace) -> Iterator[Draft]:
    """Find a test loader over training data."""
    for event in trace.of("loader", "dataset"):
        value = event.subject
        name = value.label if value is not None else ""
        if role_in(name) != "test" or certain_role(value) != "train":
            continue
        dataset = known(value.dataset) if isinstance(value, Loader) else value
        if isinstance(dataset, Dataset) and dataset.name != "Subset" and (
                not isinstance(value, Loader) or role_in(dataset.label) != "test"):
            yield Draft("FW407", event.spot, f"`{name}` holds the training data.",
                        f"`{text_of(dataset.spot)}` says train=True, so the test measures images that were learnt.",
                        "Use train=False for the test data.",
                        replaced(event.spot, text_of(event.spot, 500).replace("train=True", "train=False"))
                        if "train=True" in text_of(event.spot, 500) else "")


def tests_on_training_data(trace: Trace) -> Iterator[Draft]:
    """Find a test loader that reads the very data set of the training loader."""
    loaders = [(event, event.subject) for event in trace.of("loader") if isinstance(event.subject, Loader)]
    trained = {id(known(loader.dataset)) for _, loader in loaders if role_in(loader.label) == "train"}
    for event, loader in loaders:
        dataset = known(loader.dataset)
        if role_in(loader.label) != "test" or not isinstance(dataset, Dataset) or id(dataset) not in trained:
            continue
        if role_in(dataset.label) == "train" and certain_role(dataset) == "" and "sampler" not in loader.arguments:
            yield Draft("FW407", event.spot, f"`{loader.label}` holds the training data.",
                        f"It reads `{dataset.label}`, as the training does, so the test measures images that were "
                        "learnt.", "Give it the test data.")


RULES = (
    tests_on_training_data, random_on_test, flipped_signs, shared_transform, augmented_validation,
    different_normalisation, fitted_on_test, fitted_before_split, shuffling, test_is_train,
)
