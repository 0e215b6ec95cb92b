"""Read images and labels from data sets of other libraries: torch, torchvision, Hugging Face. Used by objects.py.

Neither torchvision nor `datasets` is imported. The kind of an object is recognised by its attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset, TensorDataset

from featherweight.data.arrays import as_array
from featherweight.data.pictures import MODES, flat
from featherweight.errors import DataError
from featherweight.picture_files import squared
from featherweight.specification import Fit

GREY_MODES = ("1", "L", "LA", "I", "I;16")
ALLOWED = "Give (images, labels), a (train, test) pair of such, {'train': ..., 'test': ...}, a torch Dataset or " \
    "DataLoader, or a data set of torchvision or Hugging Face."


@dataclass(frozen=True)
class Given:
    """One split in the form in which the user passed it.

    images, labels: values that `as_array` accepts.
    classes: class names, if the data set has them.
    words: the kind of the data set, as a phrase for the user.
    skipped: a line for each picture that cannot be read and was skipped.
    """

    images: Any
    labels: Any
    classes: tuple[str, ...] | None = None
    words: str = "arrays given in Python"
    skipped: tuple[str, ...] = ()

    def pick(self, indices: Sequence[int]) -> Given:
        """Return the examples at `indices`."""
        chosen = np.asarray(indices, np.int64)
        images, labels = as_array(self.images, "images"), as_array(self.labels, "labels")
        return replace(self, images=images[chosen], labels=labels[chosen])


@dataclass(frozen=True)
class Wanted:
    """Channels and side (pixels) to which images are converted while they are read. None keeps those of the images.

    fit: how an image that is not square becomes one. skip_damaged: leave out pictures that cannot be read.
    """

    channels: int | None
    size: int | None
    fit: Fit = "letterbox"
    skip_damaged: bool = False


def read_split(data: Any, wanted: Wanted) -> Given:
    """Return the images and labels of one split of any supported kind. Raise DataError for other objects."""
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
    """Return True for a tuple or list (images, labels) whose two parts are both collections."""
    return isinstance(data, list | tuple) and len(data) == 2 and all(hasattr(part, "__len__") for part in data) \
        and not any(isinstance(part, str | dict) for part in data)


def has_raw_data(data: Any) -> bool:
    """Return True for a data set like torchvision's MNIST: images in .data, labels in .targets or .labels."""
    return hasattr(data, "data") and hasattr(data, "__len__") and (hasattr(data, "targets") or hasattr(data, "labels"))


def read_loader(loader: DataLoader[Any], wanted: Wanted) -> Given:
    """Read the data set of a loader, restricted to the indices of its sampler.

    With a sampler of unknown kind the loader is iterated once, batch by batch.
    """
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
    """Read the examples of a data set at `indices`. From a data set of single items only these items are read."""
    if isinstance(data, Subset):
        return read_subset(data.dataset, [data.indices[index] for index in indices], wanted)
    if has_raw_data(data) or isinstance(data, TensorDataset):
        return read_split(data, wanted).pick(indices)
    if hasattr(data, "select"):     # Hugging Face
        return read_split(data.select(indices), wanted)
    return read_items(data, (data[index] for index in indices), wanted)


def read_items(data: Any, items: Any, wanted: Wanted) -> Given:
    """Read items (image, label), each once. A random augmentation inside the data set is therefore applied once.

    items: iterable of the items to read. data: the data set that they come from.
    """
    if isinstance(data, str | bytes | dict) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise DataError(f"data: {short(data)} is no data set. {ALLOWED}")
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and items is data:
        items = (data[index] for index in range(len(data)))     # iterating a map-style data set may never end
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
    """Read the image column and the label column of a data set like Hugging Face's."""
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
    """Return a short text for a value: its repr, or the name of its type if the repr is long."""
    return repr(value) if isinstance(value, str | int | float) and len(repr(value)) < 60 else type(value).__name__


def column(features: dict[str, Any], names: Sequence[str], kind: str) -> str | None:
    """Return the column whose feature type is `kind`, else a column with one of `names`, else None.

    Among several columns of the kind, one with a name of `names` comes first.
    """
    of_kind = [name for name, feature in features.items() if type(feature).__name__ == kind]
    return next(iter([*[name for name in names if name in of_kind], *of_kind,
                      *[name for name in names if name in features]]), None)


def names_of(data: Any) -> tuple[str, ...] | None:
    """Return the class names of a data set, or None if it has none."""
    names = getattr(data, "classes", None)
    return tuple(names) if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names) else None


def plain_labels(labels: Sequence[Any]) -> Any:
    """Return the labels of single items as one array. Labels may be numbers, names or tensors of one value."""
    return as_array([one.item() if hasattr(one, "item") and getattr(one, "ndim", 0) == 0 else one for one in labels],
                    "labels")


def stacked(images: Sequence[Any], wanted: Wanted) -> Any:
    """Stack single images (tensors, arrays or Pillow images) to one array.

    Pillow images are converted to the wanted channels and size. Raises DataError if their sizes differ.
    """
    if not any(isinstance(image, Image.Image) for image in images):
        return as_array([as_array(image, "images") for image in images], "images")
    if not all(isinstance(image, Image.Image) for image in images):
        raise DataError("data: the images are partly Pillow's and partly arrays. Give one kind.")
    colour = not all(image.mode in GREY_MODES for image in images)
    mode = MODES[wanted.channels if wanted.channels in MODES else 3 if colour else 1]
    pictures = [flat(image, mode) for image in images]
    pictures = [squared(picture, wanted.size, wanted.fit) for picture in pictures] if wanted.size else pictures
    sizes = sorted({picture.size for picture in pictures})
    if len(sizes) > 1:
        raise DataError(f"data: the images have {len(sizes)} sizes, such as {sizes[0][0]}x{sizes[0][1]} and "
                        f"{sizes[1][0]}x{sizes[1][1]} pixels. Give size=28, and all are resized.")
    return np.stack([np.asarray(picture) for picture in pictures])
