"""Dataset: training, validation and test images as tensors, with class names, statistics and origin.

`load_dataset` reads bytes through sources.py and folders.py and converts them to tensors of one shape.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from featherweight.data.arrays import writable
from featherweight.data.canonical import Split
from featherweight.data.decode import decode_split
from featherweight.data.digits import bundled_digits
from featherweight.data.finding import default_cache, fetch
from featherweight.data.folders import list_folder
from featherweight.data.foreign import Wanted
from featherweight.data.grid import labelled_grid
from featherweight.data.names import FOLDER_PREFIX, find_source, is_path, path_of, settled_name
from featherweight.data.pictures import MODES, resize_grey
from featherweight.data.places import Place, given_folders, read_bytes
from featherweight.data.read import Read
from featherweight.data.reading import read_path
from featherweight.data.sources import SOURCES, Source, Writers
from featherweight.data.splits import stratified_split, unseen_writers_split, validation_split
from featherweight.data.store import Images
from featherweight.data.strokes import TEST, TRAIN, drawn_digits, drawn_marks
from featherweight.errors import DataError
from featherweight.outside import shortened, visible
from featherweight.specification import HANDWRITING, NONE, Fit
from featherweight.upright import upright as upright_images
from featherweight.wording import option

DIGITS_TEST, DIGITS_SEED = 360, 0  # test images and seed: the bundled digits have no published split


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """The splits of a data set, with class names, pixel statistics and origin.

    mean, std: of training pixels in [0, 1], one value per channel. std is 1 for a channel whose pixels are all equal.
    validation: a part of the published training images, or a split that the data bring themselves, or None.
    source: a phrase that says where the bytes came from.
    writers: a function that returns a writer's number for each published training image; None if unknown.
    span: pixel values mapped to 0 and 255, for arrays passed in Python.
    drawn: number of drawn images at the end of the training images. None of them is held out.
    skipped: a line for each picture that cannot be read and was skipped.
    """

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Images
    validation: Images | None
    test: Images
    source: str
    writers: Writers | None = None
    span: tuple[float, float] = (0.0, 255.0)
    drawn: int = 0
    skipped: tuple[str, ...] = ()

    def to(self, device: torch.device) -> Dataset:
        """Return the data set with every split on `device`."""
        validation = None if self.validation is None else self.validation.to(device)
        return replace(self, train=self.train.to(device), validation=validation, test=self.test.to(device))

    def hold_out(self, validation: int, seed: int, unseen_writers: bool = False) -> Dataset:
        """Return the data set with `validation` training images held out, drawn by `seed`; 0 changes nothing.

        A data set that has a validation split is returned unchanged.
        unseen_writers: hold out all images of some writers, at most `validation` images in total.
        Raises DataError if unseen_writers is true and the writers are unknown.
        """
        if self.validation is not None:
            return self
        if not unseen_writers:
            split = validation_split(len(self.train) - self.drawn, validation, seed)
        elif self.writers is None:
            raise DataError(
                f"data.unseen_writers: who wrote {self.name} is not known, only who wrote mnist. Leave it out."
            )
        else:
            split = unseen_writers_split(self.writers(), validation, seed)
        if validation == 0:
            return self
        kept, held_out = (torch.from_numpy(part) for part in split)
        kept = torch.cat([kept, torch.arange(len(self.train) - self.drawn, len(self.train))])
        return replace(self, train=self.train.pick(kept), validation=self.train.pick(held_out))

    def __repr__(self) -> str:
        return f"{self.name}: {len(self.train):,} training and {len(self.test):,} test images, {self.source}"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: a summary line and the first training images of each class."""
        buffer = io.BytesIO()
        grid = labelled_grid(self.train.images.numpy(), self.train.labels.numpy(), self.classes, columns=8, rows=20)
        grid.save(buffer, "PNG")
        drawn = base64.b64encode(buffer.getvalue()).decode()
        words = html.escape(visible(self))
        return f'<p>{words}</p><img alt="examples of each class" src="data:image/png;base64,{drawn}">'


def load_dataset(
    name: str,
    *,
    validation: int = 0,
    split_seed: int = 0,
    unseen_writers: bool = False,
    channels: int = 1,
    size: int = 28,
    upright: bool = False,
    strokes: int = 0,
    marks: int = 0,
    fit: Fit = "letterbox",
    skip_damaged: bool = False,
    data_dir: Path | str | None = None,
    cache_dir: Path | None = None,
    sources: Mapping[str, Source] = SOURCES,
) -> Dataset:
    """Load a data set by name, or images from a file or folder. Download the data set if necessary.

    name: of a source, see SOURCES, or a path in one of the formats of formats/kinds.py, such as "mnist.npz" or "DIR".
    validation: number of images held out of the training set, drawn with split_seed (see Dataset.hold_out).
        Not used if the data bring a validation split themselves, as a folder val/ beside train/ and test/.
    channels: 1 or 3; with 3 a grey image is repeated in each channel.
    size: side of the images in pixels.
    upright: shear slanted handwriting upright.
    strokes: number of drawn digits (strokes.py) that are added to the training images, for mnist only.
    marks: number of drawn marks that are added as a further class "none".
    fit: "letterbox" adds a border to an image that is not square, "stretch" distorts the image.
    skip_damaged: leave out pictures that cannot be read, instead of raising DataError.

    mean and std of the result are computed on the whole training set, before validation images are held out.
    Raises UnknownName for an unknown name, DataError for data that are missing, damaged or out of range.
    """
    _check(name, channels, size, upright, strokes + marks)
    name = settled_name(name, sources)
    if data_dir is not None:
        given_folders(data_dir)     # raises if it does not exist, also for data that need no such folder
    source = None if is_path(name, sources) else find_source(name, sources)
    wanted = Wanted(channels, size, fit, skip_damaged)
    if source is None:
        read = _from_path(name, data_dir, wanted, default_cache(cache_dir))
    else:
        place = fetch(name, data_dir, cache_dir=cache_dir, sources=sources)
        read = _of_source(source, place, wanted, cache_dir)
    if strokes or marks:
        read = _with_drawn(read, strokes, marks, channels, size, default_cache(cache_dir))
    train, test, held_out = read.train, read.test, read.validation
    if upright:
        train, test = (_stood_upright(split) for split in (train, test))
        held_out = _stood_upright(held_out) if held_out else None
    published = source if read.published else None
    mean, std = mean_and_std(name, train[0], published)
    whole = Dataset(
        name=name, classes=read.classes, mean=mean, std=std, train=_tensors(train, mean, std),
        validation=_tensors(held_out, mean, std) if held_out else None, test=_tensors(test, mean, std),
        span=read.span, source=read.words, writers=published.writers if published else None, drawn=strokes + marks,
        skipped=read.skipped,
    )
    return whole.hold_out(validation, split_seed, unseen_writers)


def pixel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel of images (N, C, H, W), pixels scaled to [0, 1].

    The result is exact: it is computed from the counts of the 256 pixel values.
    """
    levels = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        # slice by slice, because np.bincount converts each pixel to 8 bytes
        slices = range(0, len(images), 4096)
        counts = sum(np.bincount(images[i : i + 4096, channel].ravel(), minlength=256) for i in slices)
        share = counts / np.sum(counts)
        mean = float(share @ levels)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (levels - mean) ** 2)))
    return tuple(means), tuple(deviations)


def _check(name: str, channels: int, size: int, upright: bool, drawn: int) -> None:
    if channels not in MODES:
        raise DataError(f"channels: {channels} is not 1 (grey) or 3 (red, green, blue).")
    if upright and channels != 1:
        raise DataError(f"data.upright: images of {channels} channels are not grey. Set data.channels to 1.")
    if upright and name not in HANDWRITING:
        raise DataError(
            f"data.upright: {name} is not known for light ink on black. Allowed: {', '.join(HANDWRITING)}. "
            "For other images train with data.upright=false."
        )
    if drawn and name != "mnist":
        raise DataError(f"data.strokes, data.marks: drawn images are like those of mnist, not like those of {name}. "
                        "Set both to 0, or take data.dataset=strokes.")
    if size < 1:
        raise DataError(f"size: {size} is not a side of at least 1 pixel.")


def _from_idx(place: Place, source: Source, size: int) -> tuple[Split, Split]:
    splits = []
    for images, labels, count in ((0, 1, source.train_count), (2, 3, source.test_count)):
        files = (place.files[images], place.files[labels])
        pixels, numbers = decode_split(
            read_bytes(files[0]),
            read_bytes(files[1]),
            files=files,
            name=source.name,
            classes=len(source.classes),
            count=count,
        )
        splits.append((resize_grey(pixels, size)[:, None], numbers))
    return splits[0], splits[1]


def _bundled_digits(size: int, cache_dir: Path | None) -> tuple[Split, Split]:
    """Return training and test images of scikit-learn's 1,797 digits, resized.

    The digits have 8x8 pixels with values 0..16, which are scaled to 0..255.
    """
    pixels, labels = bundled_digits()
    images = resize_grey(np.rint(pixels * (255 / 16)).astype(np.uint8), size)[:, None]
    train, test = stratified_split(labels, DIGITS_TEST, DIGITS_SEED)
    return (images[train], labels[train]), (images[test], labels[test])


def _strokes(size: int, cache_dir: Path | None) -> tuple[Split, Split]:
    """Return training and test images of the digits that featherweight draws."""
    cache = default_cache(cache_dir)
    return _drawn(TRAIN, 0, size, cache), _drawn(TEST, 1, size, cache)


def _drawn(count: int, seed: int, size: int, cache: Path) -> Split:
    images, labels = drawn_digits(count, seed, cache)
    return resize_grey(images, size)[:, None], labels


def _with_drawn(read: Read, strokes: int, marks: int, channels: int, size: int, cache: Path) -> Read:
    """Return data whose training images are followed by drawn digits, and by drawn marks of a further class."""
    (images, labels), (digits, of_digits) = read.train, _drawn(strokes, 0, size, cache)
    others = resize_grey(drawn_marks(marks, 0, cache), size)[:, None] if marks else digits[:0]
    none = np.full(len(others), len(read.classes))
    drawn, _ = _with_channels((np.concatenate([digits, others]), none), channels)
    train = np.concatenate([images, drawn]), np.concatenate([labels, of_digits, none])
    return replace(read, train=train, classes=(*read.classes, *([NONE] if marks else [])))


WITHOUT_FILES = {"digits": _bundled_digits, "strokes": _strokes}


def _from_path(name: str, data_dir: Path | str | None, wanted: Wanted, cache: Path) -> Read:
    if name == FOLDER_PREFIX:
        raise DataError(f"{name!r} names no folder. Give folder:DIR, with a folder in DIR for each class.")
    path = path_of(name, data_dir)
    if name.startswith(FOLDER_PREFIX) and not path.exists():
        list_folder(path)       # raises, with the line about folders
    return read_path(path, wanted, cache)


def _of_source(source: Source, place: Place, wanted: Wanted, cache_dir: Path | None) -> Read:
    """Read a named data set at its place: four IDX files, files in another format, or none."""
    channels, size = wanted.channels or 1, wanted.size or 28
    if place.path is not None:
        return _named(read_path(place.path, wanted, default_cache(cache_dir)), source, place)
    splits = _from_idx(place, source, size) if place.files else WITHOUT_FILES[source.name](size, cache_dir)
    train, test = (_with_channels(split, channels) for split in splits)
    return Read(source.classes, train, test, None, place.phrase, published=True)


def _named(read: Read, source: Source, place: Place) -> Read:
    """Return data that were read from another format with the class names of the source.

    Raises DataError if the data have other classes than the source.
    """
    numbers = tuple(map(str, range(len(source.classes))))
    if read.classes not in (source.classes, numbers):
        shown = shortened(", ".join(read.classes), 60)
        raise DataError(f"{place.path} has {len(read.classes)} classes ({shown}), not those of {source.name}. Give "
                        f"it as data of your own: {option('data', place.path)}")
    return replace(read, classes=source.classes, words=place.phrase)


def _with_channels(split: Split, channels: int) -> Split:
    images, labels = split
    return (images if channels == 1 else np.repeat(images, channels, axis=1)), labels


def _stood_upright(split: Split) -> Split:
    images, labels = split
    return upright_images(images[:, 0])[:, None], labels


def mean_and_std(
    name: str, images: NDArray[np.uint8], source: Source | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel: the published ones, or those of the pixels.

    The standard deviation of a channel whose pixels are all equal is 1.
    Raises DataError if the pixels are equal in every channel.
    """
    channels = images.shape[1]
    if source is not None and source.mean is not None and source.std is not None:
        return (source.mean,) * channels, (source.std,) * channels
    mean, std = pixel_statistics(images)
    if max(std) == 0:
        raise DataError(f"{name!r} has one value in all training pixels. Give other pictures.")
    return mean, tuple(deviation or 1.0 for deviation in std)  # a constant channel becomes 0, not 0 / 0


def _tensors(split: Split, mean: tuple[float, ...], std: tuple[float, ...]) -> Images:
    images, labels = split
    return Images.of(torch.from_numpy(writable(images)), torch.from_numpy(writable(labels)), mean, std)
