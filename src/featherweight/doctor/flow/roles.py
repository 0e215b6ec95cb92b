"""Roles of data sets and loaders: train, validation or test."""

from __future__ import annotations

import re
from collections.abc import Mapping

from featherweight.doctor.flow.values import (
    INPUT,
    Dataset,
    Items,
    Loader,
    Table,
    Tensor,
    Transform,
    Unknown,
    Value,
    constant,
    known,
)

WORDS = {
    "train": "train", "training": "train", "trn": "train", "tr": "train", "trainset": "train", "traindata": "train",
    "trainloader": "train", "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "validate": "validation", "valloader": "validation", "valset": "validation", "validloader": "validation",
    "test": "test", "testing": "test", "testset": "test", "testloader": "test", "testdata": "test", "tst": "test",
    "evaluation": "validation", "eval": "validation", "holdout": "test", "traindataset": "train",
    "testdataset": "test", "valdataset": "validation",
}
IMAGES_OF = {
    "MNIST": (60_000, 10_000, 10), "FashionMNIST": (60_000, 10_000, 10), "KMNIST": (60_000, 10_000, 10),
    "CIFAR10": (50_000, 10_000, 10), "CIFAR100": (50_000, 10_000, 100), "SVHN": (73_257, 26_032, 10),
    "STL10": (5_000, 8_000, 10),
}


CLASSES = {name: classes for name, (_, _, classes) in IMAGES_OF.items()} | {
    "QMNIST": 10, "USPS": 10, "Imagenette": 10, "EuroSAT": 10, "OxfordIIITPet": 37, "GTSRB": 43, "DTD": 47,
    "FGVCAircraft": 100, "Food101": 101, "Flowers102": 102, "StanfordCars": 196,
}
EMNIST = {"byclass": 62, "bymerge": 47, "balanced": 47, "digits": 10, "mnist": 10}      # split -> classes
SIDES = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "QMNIST", "EMNIST"), 28),
    **dict.fromkeys(("CIFAR10", "CIFAR100", "SVHN"), 32), "STL10": 96,
}
IMAGES_AXES = 4         # image, channel, row, column
SIZING = ("Resize", "Crop", "Pad", "Lambda")      # in names of transforms that may change the size of images


def words_of(name: str) -> list[str]:
    """Split a name: testLoader_2 -> [test, loader, 2]."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def role_in(name: str) -> str:
    """Return the role that a name states, or ""."""
    found = {WORDS[word] for word in words_of(name) if word in WORDS}
    return found.pop() if len(found) == 1 else ""


def role_of(value: Value | None) -> str:
    """Return the role of a loader, a data set or a part of one."""
    value = known(value)
    if isinstance(value, Loader):
        own, inner = value.role or role_in(value.label), role_of(value.dataset)
        return inner if inner == "test" else own or inner       # valid_loader may read a part of the training data
    if isinstance(value, Dataset):
        return value.role or role_of(value.parent) or role_in(value.label)
    return role_in(value.label) if isinstance(value, Unknown) else ""


def certain_role(value: Value | None) -> str:
    """Return the role of a loader or data set if arguments state it, as train=False does; else ""."""
    value = known(value)
    if isinstance(value, Loader):
        return certain_role(value.dataset)
    if isinstance(value, Dataset):
        return value.role if value.certain else certain_role(value.parent)
    return ""


def role_from_arguments(name: str, arguments: Mapping[str, Value]) -> tuple[str, bool]:
    """Return (role, True if an argument states it) of a data set that is built."""
    train = constant(arguments.get("train"))
    if isinstance(train, bool):
        return ("train" if train else "test"), True
    split = constant(arguments.get("split"))
    if isinstance(split, str) and role_in(split):
        return role_in(split), True
    folder = constant(arguments.get("root"))
    if isinstance(folder, str) and name in ("ImageFolder", "DatasetFolder"):
        return role_in(folder.rstrip("/").rpartition("/")[2]), False
    return "", False


def sources_of(value: Value | None) -> tuple[Value, ...]:
    """Return the loaders and data sets on which a value depends."""
    value = known(value)
    if isinstance(value, Loader | Dataset):
        return (value,)
    if isinstance(value, Items | Table):
        items = value.items if isinstance(value, Items) else list(value.items.values())
        return tuple({id(one): one for item in items[:20] for one in sources_of(item)}.values())
    return value.origin


def base_dataset(value: Value | None) -> Value | None:
    """Return the data set behind a loader."""
    value = known(value)
    if isinstance(value, Loader):
        return known(value.dataset) if value.dataset is not None else value
    return value


def lineage(value: Value | None) -> list[Dataset]:
    """Return the data set behind a loader or data set, and the larger ones that it is taken from."""
    found: list[Dataset] = []
    dataset = base_dataset(value)
    while isinstance(dataset, Dataset) and not any(dataset is one for one in found):
        found.append(dataset)
        dataset = known(dataset.parent)
    return found


def number_of_images(value: Value | None) -> int | None:
    """Return the number of images of a part or a well-known data set, such as 10,000 for the test images of MNIST."""
    dataset = base_dataset(value)
    if isinstance(dataset, Dataset) and dataset.images is not None:
        return dataset.images
    if isinstance(dataset, Dataset) and dataset.name in IMAGES_OF and dataset.certain:
        return IMAGES_OF[dataset.name][0 if dataset.role == "train" else 1]
    return None


def number_of_classes(value: Value | None) -> int | None:
    """Return the number of classes of a well-known data set."""
    found = lineage(value)
    if any(one.shift is None for one in found):         # the labels may be those of other classes
        return None
    letters = next((EMNIST[one.split] for one in found if one.name == "EMNIST" and one.split in EMNIST), None)
    return letters or next((CLASSES[one.name] for one in found if one.name in CLASSES), None)


def side_of_images(images: Tensor) -> int | None:
    """Return height and width of images from the loader of a well-known data set, or None if they may be changed."""
    unchanged = images.meaning == INPUT and images.axes == IMAGES_AXES and bool(images.origin)
    sets = lineage(images.origin[0]) if unchanged else []
    dataset = next((one for one in sets if one.name in SIDES), sets[-1] if sets else None)
    transform = known(dataset.transform) if dataset is not None else None
    if dataset is None or not isinstance(transform, Transform):
        return None
    sizing = [(name, arguments) for name, arguments, _ in transform.steps if any(word in name for word in SIZING)]
    return side_after(*sizing[-1]) if sizing else SIDES.get(dataset.name)


def side_after(name: str, arguments: Mapping[str, Value]) -> int | None:
    """Return height and width of the images that a transform such as Resize((64, 64)) gives, or None."""
    size = constant(arguments.get("size"))
    if isinstance(size, tuple):
        height, *others = size
        return height if others == [height] and isinstance(height, int) else None
    return size if isinstance(size, int) and name in ("CenterCrop", "RandomCrop", "RandomResizedCrop") else None
