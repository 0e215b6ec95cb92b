"""Data given as Python objects: each kind gives the same pixels and labels, each fault one line of Python's words."""

from __future__ import annotations

from collections import UserDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from featherweight.data import Dataset, as_dataset, load_dataset
from featherweight.errors import DataError

LABELS = np.arange(40) % 4
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
TRAIN, TEST = (PIXELS[:30], LABELS[:30]), (PIXELS[30:], LABELS[30:])


def same(dataset: Dataset, images=PIXELS) -> bool:
    """Whether a (train, test) pair holds what TRAIN and TEST hold."""
    both = [dataset.train, dataset.test]
    pixels = torch.cat([split.images for split in both]).numpy()
    assert all(split.images.dtype == torch.uint8 and split.labels.dtype == torch.int64 for split in both)
    assert all(split.images.is_contiguous() for split in both)
    assert np.array_equal(torch.cat([split.labels for split in both]), LABELS)
    return np.array_equal(pixels, images[:, None] if images.ndim == 3 else images)


class Items(TorchDataset):
    """A map-style data set that gives what a function makes of image and label."""

    def __init__(self, make, classes=None, chosen=slice(None)):
        self.make, self.images, self.numbers = make, PIXELS[chosen], LABELS[chosen]
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return self.make(self.images[index]), int(self.numbers[index])


class Raw:
    """What torchvision's data sets are made like: raw data, targets, classes, and a transform of single items."""

    def __init__(self, data, targets, classes=None):
        self.data, self.targets = data, targets
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        raise AssertionError("its raw data are to be taken")


class ClassLabel(SimpleNamespace):
    pass


class Columns:
    """What a Hugging Face data set is made like: rows as dictionaries, features, column names, select."""

    def __init__(self, images, numbers, names=("label", "picture"), classes=("a", "b", "c", "d")):
        self.rows = [{names[0]: int(number), names[1]: Image.fromarray(image)}
                     for image, number in zip(images, numbers, strict=True)]
        kind = type("Image", (), {})
        self.features = {names[0]: ClassLabel(names=list(classes)), names[1]: kind()}
        self.column_names = list(self.features)

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


GIVEN = {
    "arrays": (TRAIN, TEST),
    "a mapping": {"train": TRAIN, "test": TEST, "validation": TRAIN},
    "lists": ((TRAIN[0].tolist(), TRAIN[1].tolist()), (TEST[0].tolist(), TEST[1].tolist())),
    "tensors": tuple((torch.tensor(images), torch.tensor(labels)) for images, labels in (TRAIN, TEST)),
    "lists of tensors": tuple((list(torch.tensor(images)), labels) for images, labels in (TRAIN, TEST)),
    "lists of pictures": tuple(([Image.fromarray(one) for one in images], labels) for images, labels in (TRAIN, TEST)),
    "floats to 1": tuple((torch.tensor(images) / 255, labels) for images, labels in (TRAIN, TEST)),
    "floats to 255": tuple((images.astype(np.float32), labels) for images, labels in (TRAIN, TEST)),
    "halves": tuple(((torch.tensor(images) / 255).half(), labels) for images, labels in (TRAIN, TEST)),
    "int64": tuple((images.astype(np.int64), labels) for images, labels in (TRAIN, TEST)),
    "channel first": tuple((images[:, None], labels) for images, labels in (TRAIN, TEST)),
    "channel last": tuple((images[..., None], labels) for images, labels in (TRAIN, TEST)),
    "one-hot": tuple((images, np.eye(4)[labels]) for images, labels in (TRAIN, TEST)),
    "a column of labels": tuple((images, labels[:, None]) for images, labels in (TRAIN, TEST)),
    "TensorDataset": tuple(TensorDataset(torch.tensor(images), torch.tensor(labels))
                           for images, labels in (TRAIN, TEST)),
    "items of tensors": (Items(torch.tensor, chosen=slice(30)), Items(torch.tensor, chosen=slice(30, None))),
    "items of floats": tuple(Subset(Items(lambda one: torch.tensor(one)[None] / 255), range(*ends))
                             for ends in ((0, 30), (30, 40))),
    "items of pictures": tuple(Subset(Items(Image.fromarray), range(*ends)) for ends in ((0, 30), (30, 40))),
    "loaders": tuple(DataLoader(Subset(Items(torch.tensor), range(*ends)), batch_size=7, shuffle=True)
                     for ends in ((0, 30), (30, 40))),
    "torchvision": (Raw(torch.tensor(TRAIN[0]), torch.tensor(TRAIN[1])), Raw(TEST[0], TEST[1].tolist())),
    "subsets of torchvision": tuple(Subset(Raw(PIXELS, LABELS.tolist()), range(*ends)) for ends in ((0, 30), (30, 40))),
    "Hugging Face": UserDict(train=Columns(*TRAIN), test=Columns(*TEST)),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_every_kind_gives_the_same_pixels_and_labels(kind):
    assert same(as_dataset(GIVEN[kind]))


def test_colour_comes_in_either_order():
    expected = COLOUR.transpose(0, 3, 1, 2)
    for images in (COLOUR, expected):
        assert same(as_dataset(((images[:30], LABELS[:30]), (images[30:], LABELS[30:]))), expected)


def test_bytes_of_a_tensor_are_not_copied():
    images = torch.tensor(TRAIN[0])[:, None]
    dataset = as_dataset(((images, torch.tensor(TRAIN[1])), TEST))
    assert dataset.train.images.data_ptr() == images.data_ptr()


def test_read_only_arrays_are_taken():
    images = np.frombuffer(PIXELS[:30].tobytes(), np.uint8).reshape(30, 8, 8)
    assert same(as_dataset(((images, LABELS[:30]), TEST)))


def test_one_split_gives_a_fifth_of_each_class_to_test():
    dataset = as_dataset((PIXELS, LABELS))
    assert np.bincount(dataset.test.labels).tolist() == [2, 2, 2, 2] and len(dataset.train) == 32
    assert dataset.source == "arrays given in Python, a fifth of each class drawn for test"
    again = as_dataset((PIXELS, LABELS))
    assert again.name == dataset.name and torch.equal(again.test.images, dataset.test.images)


def test_normalised_floats_are_mapped_to_bytes_and_it_is_said():
    low, high = (0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081
    images = PIXELS.copy()
    images[0, 0, :2] = 0, 255
    given = images.astype(np.float32) / 255 * (high - low) + low
    dataset = as_dataset(((given[:30], LABELS[:30]), (given[30:], LABELS[30:])))
    assert same(dataset, images)
    assert dataset.source == "arrays given in Python (floats from -0.4242 to 2.821, mapped to 0..255)"
    assert dataset.span == pytest.approx((low, high), abs=1e-6)


def test_a_few_levels_fill_the_range():
    dataset = as_dataset((np.arange(40 * 64).reshape(40, 8, 8) % 17, LABELS))
    assert dataset.train.images.max() == 255 and dataset.span == (0, 16)


@pytest.mark.parametrize(("labels", "classes"), [
    (LABELS, ("0", "1", "2", "3")), (LABELS + 1, ("0", "1", "2", "3", "4")),
    (np.array(["cat", "ant", "dog", "bee"])[LABELS], ("ant", "bee", "cat", "dog")),
    ([b"no", b"yes"] * 20, ("no", "yes")), (LABELS > 1, ("False", "True")),
])
def test_classes_are_numbers_or_sorted_names(labels, classes):
    dataset = as_dataset((PIXELS, labels))
    assert dataset.classes == classes
    named = [str(one.decode() if isinstance(one, bytes) else one) for one in np.asarray(labels).tolist()]
    counts = np.bincount(torch.cat([dataset.train.labels, dataset.test.labels]), minlength=len(classes))
    assert dict(zip(classes, counts, strict=True)) == {name: named.count(name) for name in classes}


def test_a_data_set_brings_its_names():
    assert as_dataset(Raw(PIXELS, LABELS, ["a", "b", "c", "d", "e"])).classes == ("a", "b", "c", "d", "e")
    assert as_dataset(Items(torch.tensor, classes=["a", "b", "c", "d"])).classes == ("a", "b", "c", "d")
    assert as_dataset(Columns(PIXELS, LABELS)).classes == ("a", "b", "c", "d")


def test_the_source_says_that_transforms_are_left_out():
    left_out = as_dataset(Raw(PIXELS, LABELS)).source
    assert left_out.startswith("Raw given in Python, its raw images without its transforms")
    assert as_dataset(Items(torch.tensor)).source.startswith("Items given in Python, each item read once")


def test_a_loader_with_a_sampler_gives_its_part_alone():
    items = Items(torch.tensor)
    loaders = [DataLoader(items, sampler=SubsetRandomSampler(range(*ends))) for ends in ((0, 30), (30, 40))]
    assert same(as_dataset(tuple(loaders)))


def test_a_stream_is_read_batch_by_batch():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(torch.tensor(PIXELS), LABELS.tolist(), strict=True))

    whole, loaded = as_dataset(Stream()), as_dataset(DataLoader(Stream(), batch_size=16))
    assert whole.name == loaded.name == as_dataset((PIXELS, LABELS)).name


def test_different_content_has_another_name():
    other = PIXELS.copy()
    other[0, 0, 0] ^= 1
    names = {as_dataset(data).name for data in ((PIXELS, LABELS), (other, LABELS), (PIXELS, LABELS[::-1]),
                                                (PIXELS, LABELS.astype(str)), (PIXELS[:, :, ::-1], LABELS))}
    assert len(names) == 4      # numbers and their names are the same data
    assert all(name.startswith("arrays-") and len(name) == 15 for name in names)
    assert as_dataset((PIXELS, LABELS), name="mine").name == "mine"


def test_size_and_channels_are_made_as_load_dataset_makes_them():
    grey, large = load_dataset("digits", size=8), load_dataset("digits", channels=3, size=12)
    given = [(split.images, split.labels) for split in (grey.train, grey.test)]
    dataset = as_dataset(tuple(given), channels=3, size=8)
    assert torch.equal(dataset.train.images, grey.train.images.repeat(1, 3, 1, 1))
    assert as_dataset(tuple(given), channels=3, size=12).test.images.shape == large.test.images.shape
    halved = as_dataset(((COLOUR[:30], LABELS[:30]), (COLOUR[30:], LABELS[30:])), channels=1)
    assert same(halved, np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in COLOUR]))


def test_pictures_of_several_sizes_are_resized_where_a_size_is_given():
    pictures = [Image.new("RGB", (10 + index % 3, 12), (index, 0, 0)) for index in range(40)]
    assert as_dataset((pictures, LABELS), size=8).train.images.shape == (32, 3, 8, 8)
    with pytest.raises(DataError, match=r"3 sizes, such as 10x12 and 11x12 pixels\. Give size=28"):
        as_dataset((pictures, LABELS))


def test_mean_and_deviation_are_those_of_the_training_pixels():
    dataset = as_dataset((COLOUR, LABELS))
    pixels = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist())
    assert dataset.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist())


def test_a_data_set_of_ours_stays_as_it_is():
    dataset = load_dataset("digits")
    assert as_dataset(dataset) is dataset


HOLED = PIXELS.astype(np.float32)
HOLED[3, 2, 2] = np.nan
FAULTS = {
    "90 labels": ((PIXELS, LABELS[:39]), r"39 training labels for 40 images\. Give a label for each"),
    "a pair of those": ((TRAIN, (TEST[0], TEST[1][:9])), "9 test labels for 10 images"),
    "NaN": ((HOLED, LABELS), r"training images hold NaN or infinity.*nan_to_num"),
    "float labels": ((PIXELS, LABELS.astype(float)), r"labels are float64.*labels\.astype\(int\)"),
    "float labels in a list": ((PIXELS, [0.5] * 40), "labels are float64"),
    "mixed labels": ((PIXELS, np.array([1, "a"] * 20, object)), "mix int and str"),
    "one class": ((PIXELS, LABELS * 0), "one class, '0'; a classifier needs at least 2"),
    "lonely class": ((PIXELS, np.r_[LABELS[:39], 9]), "class '9' has one image"),
    "negative": ((PIXELS, LABELS - 1), "labels reach from -1 to 2"),
    "a number": ((PIXELS, LABELS * 1000), r"labels reach from 0 to 3000.*labels\.astype\(str\)"),
    "two channels": ((np.zeros((40, 2, 8, 8), np.uint8), LABELS), r"shape \(40, 2, 8, 8\)\. Allowed: \(N, H, W\)"),
    "transparency": ((np.zeros((40, 8, 8, 4), np.uint8), LABELS), r"images\[\.\.\., :3\]"),
    "ambiguous": ((np.zeros((40, 3, 8, 3), np.uint8), LABELS), "axis 1 or axis 3 may be the channels"),
    "flat": ((np.zeros((40, 64)), LABELS), r"images\.reshape\(-1, 8, 8\)"),
    "empty": ((np.zeros((0, 8, 8)), []), r"are empty, their shape is \(0, 8, 8\)"),
    "objects": ((np.array([object()] * 40), LABELS), "of dtype object"),
    "ragged": (([[[1, 2], [3, 4]], [[1], [2]]], [0, 1]), "different shapes"),
    "oblong": ((PIXELS[:, :, :6], LABELS), r"8x6 pixels are no squares\. Give size=8"),
    "tiny": ((PIXELS[:, :3, :3], LABELS), r"a side of 3 pixels is not between 4 and 512\. Give size=28"),
    "constant": ((np.full((40, 8, 8), -3.5), LABELS), "the value -3.5 everywhere"),
    "two scales": (((TRAIN[0] / 255, TRAIN[1]), (TEST[0] * 1.0, TEST[1])), "Scale both alike"),
    "two dtypes": (((TRAIN[0] / 255, TRAIN[1]), TEST), "test images are uint8, the training images float64"),
    "two shapes": ((TRAIN, (COLOUR[30:], LABELS[30:])), r"test images \(3, 8, 8\)"),
    "unknown class": ((TRAIN, (TEST[0], TEST[1] + 1)), r"test labels hold 4, and the classes are 0 to 3"),
    "unknown name": (((TRAIN[0], TRAIN[1].astype(str)), (TEST[0], ["x"] * 10)), r"hold 'x'.*Allowed: 0, 1, 2, 3"),
    "no test": ({"train": TRAIN, "validation": TEST}, "the keys train, validation are not 'train' and 'test'"),
    "text": ("mnst", r"'mnst' is no data set\. Give \(images, labels\)"),
    "a number alone": (7, "data: 7 is no data set"),
    "items without labels": (list(PIXELS), r"item 0 of the list is a ndarray, not \(image, label\)"),
    "no label column": (Columns(PIXELS, LABELS, ("number", "image")), None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_of_python_words(fault):
    data, words = FAULTS[fault]
    if words is None:
        data.features = {"number": object(), "image": data.features["image"]}
        words = "none of the columns number, image is the label"
    with pytest.raises(DataError, match=words) as caught:
        as_dataset(data)
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)


def test_names_of_other_data_sets_are_taken():
    with pytest.raises(DataError, match="name='mnist' is the name of another data set"):
        as_dataset((PIXELS, LABELS), name="mnist")
    with pytest.raises(DataError, match="channels=2 is not 1"):
        as_dataset((PIXELS, LABELS), channels=2)


def test_arrays_cannot_be_loaded_by_name():
    with pytest.raises(DataError, match=r"'arrays-1f3a9c2e' are arrays that were given in Python.*with data="):
        load_dataset("arrays-1f3a9c2e")
