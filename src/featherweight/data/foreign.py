"""Data sets of other libraries -> images and labels as they hold them: torch, torchvision, Hugging Face, by shape.

Neither torchvision nor `datasets` is imported; an object is known by the attributes that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset, TensorDataset

from featherweight.data.arrays import as_array
from featherweight.data.pictures import MODES, flat, resize
from featherweight.errors import DataError

GREY_MODES = ("1", "L", "LA", "I", "I;16")
ALLOWED = "Give (images, labels), a (train, test) pair of such, {'train': ..., 'test': ...}, a torch Dataset or " \
    "DataLoader, or a data set of torchvision or Hugging Face."


@dataclass(frozen=True)
class Given:
    """One split as it was given: images and labels that arrays can be made of, class names, and its kind in words."""

    images: Any
    labels: Any
    classes: tuple[str, ...] | None = None
    words: str = "arrays given in Python"

    def pick(self, indices: Sequence[int]) -> Given:
        """The examples at these places."""
        chosen = np.asarray(indices, np.int64)
        images, labels = as_array(self.images, "images"), as_array(self.labels, "labels")
        return replace(self, images=images[chosen], labels=labels[chosen])


@dataclass(frozen=True)
class Wanted:
    """How pictures are asked for while they are read: channels and side, or None for what they have."""

    channels: int | None
    size: int | None


def read_split(data: Any, wanted: Wanted) -> Given:
    """The images and labels of one split, whatever it is; DataError where it is nothing known."""
    if isinstance(data, DataLoader | Subset):
        return read_loader(data, wanted) if isinstance(data, DataLoader) \
            else read_subset(data.dataset, list(data.indices), wanted)
    if isinstance(data, TensorDataset) and len(data.tensors) >= 2:
        return Given(data.tensors[0], data.tensors[1], words="TensorDataset given in Python")
    if is_pair(data):
        images, labels = data
        many = isinstance(images, list | tuple) and any(isinstance(one, Image.Image) for one in images)
        return Given(stacked(images, wanted) if many else images, labels)
    if has_raw_data(data):
        labels = data.targets if hasattr(data, "targets") else data.labels
        words = f"{type(data).__name__} given in Python, its raw images without its transforms"
        return Given(data.data, labels, names_of(data), words)
    if hasattr(data, "features") and hasattr(data, "column_names"):
        return read_columns(data, wanted)
    return read_items(data, data, wanted)


def is_pair(data: Any) -> bool:
    """Whether this is a tuple or list of images and labels, of which neither is a single example."""
    return isinstance(data, list | tuple) and len(data) == 2 and all(hasattr(part, "__len__") for part in data) \
        and not any(isinstance(part, str | dict) for part in data)


def has_raw_data(data: Any) -> bool:
    """Whether this is a data set like torchvision's MNIST or CIFAR10: all images in .data, all labels beside it."""
    return hasattr(data, "data") and hasattr(data, "__len__") and (hasattr(data, "targets") or hasattr(data, "labels"))


def read_loader(loader: DataLoader[Any], wanted: Wanted) -> Given:
    """The data set of a loader, only the part that its sampler takes; batch by batch where no other way is known."""
    if isinstance(loader.sampler, SequentialSampler | RandomSampler):
        return read_split(loader.dataset, wanted)
    if hasattr(loader.sampler, "indices"):
        return read_subset(loader.dataset, list(loader.sampler.indices), wanted)
    batches = [batch for batch in loader if isinstance(batch, list | tuple) and len(batch) >= 2]
    if not batches:
        raise DataError("data: the DataLoader gives no (images, labels) batches. " + ALLOWED)
    images, labels = (np.concatenate([as_array(batch[part], "images") for batch in batches]) for part in (0, 1))
    return Given(images, labels, names_of(loader.dataset), "a DataLoader given in Python, read once")


def read_subset(data: Any, indices: list[int], wanted: Wanted) -> Given:
    """Some examples of a data set; of one that gives single items, only these are read."""
    if isinstance(data, Subset):
        return read_subset(data.dataset, [data.indices[index] for index in indices], wanted)
    if has_raw_data(data) or isinstance(data, TensorDataset):
        return read_split(data, wanted).pick(indices)
    if hasattr(data, "select"):     # Hugging Face
        return read_split(data.select(indices), wanted)
    return read_items(data, (data[index] for index in indices), wanted)


def read_items(data: Any, items: Any, wanted: Wanted) -> Given:
    """Items (image, label), each read once: an augmentation in them is drawn once and for all."""
    if isinstance(data, str | bytes | dict) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise DataError(f"data: {short(data)} is no data set. {ALLOWED}")
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and items is data:
        items = (data[index] for index in range(len(data)))     # a map-style data set may not end by itself
    images: list[Any] = []
    labels: list[Any] = []
    for item in items:
        if not isinstance(item, list | tuple) or len(item) < 2:
            raise DataError(f"data: item {len(images)} of the {type(data).__name__} is a {type(item).__name__}, not "
                            f"(image, label). {ALLOWED}")
        images.append(item[0])
        labels.append(item[1])
    return Given(stacked(images, wanted), plain_labels(labels), names_of(data),
                 f"{type(data).__name__} given in Python, each item read once")


def read_columns(data: Any, wanted: Wanted) -> Given:
    """The image and the label column of a data set like Hugging Face's."""
    features = dict(data.features)
    image = column(features, ("image", "img", "images", "pixels"), "Image")
    label = column(features, ("label", "labels", "target", "class", "fine_label"), "ClassLabel")
    if image is None or label is None:
        missing = "image" if image is None else "label"
        raise DataError(f"data: none of the columns {', '.join(features)} is the {missing}. Call it {missing!r}, e.g. "
                        "with rename_column.")
    rows = [(row[image], row[label]) for row in data]
    classes = tuple(features[label].names) if hasattr(features[label], "names") else None
    return Given(stacked([row[0] for row in rows], wanted), plain_labels([row[1] for row in rows]), classes,
                 f"a data set given in Python, its columns {image} and {label}")


def short(value: Any) -> str:
    """A value in a few words."""
    return repr(value) if isinstance(value, str | int | float) and len(repr(value)) < 60 else type(value).__name__


def column(features: dict[str, Any], names: Sequence[str], kind: str) -> str | None:
    """The column of this kind, or else of one of these names."""
    of_kind = [name for name, feature in features.items() if type(feature).__name__ == kind]
    return next(iter([*[name for name in names if name in of_kind], *of_kind,
                      *[name for name in names if name in features]]), None)


def names_of(data: Any) -> tuple[str, ...] | None:
    """The class names of a data set that has them."""
    names = getattr(data, "classes", None)
    return tuple(names) if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names) else None


def plain_labels(labels: Sequence[Any]) -> Any:
    """Labels of single items, tensors of one value among them, as one array."""
    return as_array([one.item() if hasattr(one, "item") and getattr(one, "ndim", 0) == 0 else one for one in labels],
                    "labels")


def stacked(images: Sequence[Any], wanted: Wanted) -> Any:
    """Single images, tensors, arrays or Pillow's, as one array; Pillow's are resized where a size is given."""
    if not any(isinstance(image, Image.Image) for image in images):
        return as_array([as_array(image, "images") for image in images], "images")
    if not all(isinstance(image, Image.Image) for image in images):
        raise DataError("data: the images are partly Pillow's and partly arrays. Give one kind.")
    colour = not all(image.mode in GREY_MODES for image in images)
    mode = MODES[wanted.channels if wanted.channels in MODES else 3 if colour else 1]
    pictures = [flat(image, mode) for image in images]
    pictures = [resize(picture, wanted.size) for picture in pictures] if wanted.size else pictures
    sizes = sorted({picture.size for picture in pictures})
    if len(sizes) > 1:
        raise DataError(f"data: the images have {len(sizes)} sizes, such as {sizes[0][0]}x{sizes[0][1]} and "
                        f"{sizes[1][0]}x{sizes[1][1]} pixels. Give size=28, and all are resized.")
    return np.stack([np.asarray(picture) for picture in pictures])
