"""Data sets as they are used: shapes, splits, statistics, and where they came from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featherweight.data import load_dataset, pixel_statistics
from featherweight.data.splits import stratified_split, unseen_writers_split, validation_split
from featherweight.data.writers import mnist_writers
from featherweight.errors import DataError, UnknownName
from featherweight.upright import upright


def fault_of(name, **options):
    with pytest.raises((DataError, UnknownName)) as fault:
        load_dataset(name, **options)
    assert "\n" not in str(fault.value)
    return str(fault.value)


# the splits


@given(count=st.integers(1, 400), share=st.floats(0, 0.999), seed=st.integers(0, 2**32))
def test_a_validation_split_is_exact_disjoint_and_whole(count, share, seed):
    validation = int(share * count)
    kept, held_out = validation_split(count, validation, seed)
    assert len(held_out) == validation
    assert sorted([*kept, *held_out]) == list(range(count))
    assert kept.tolist() == sorted(kept)
    again = validation_split(count, validation, seed)
    assert again[1].tolist() == held_out.tolist()
    larger = validation_split(count, min(validation + 1, count - 1), seed)[1]
    assert set(held_out.tolist()) <= set(larger.tolist())


def test_another_seed_is_another_split():
    assert validation_split(100, 10, 0)[1].tolist() != validation_split(100, 10, 1)[1].tolist()


def test_a_split_stays_what_it_was():
    """Stored: a change here would make published numbers impossible to repeat."""
    assert validation_split(60_000, 5_000, 0)[1][:5].tolist() == [9, 24, 49, 60, 65]
    assert validation_split(10, 4, 1)[1].tolist() == [0, 4, 7, 8]


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=12), share=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_writers_are_held_out_with_all_of_their_images(counts, share, seed):
    writers = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 7, counts))
    validation = min(max(int(share * len(writers)), *counts), len(writers) - 1)
    kept, held_out = unseen_writers_split(writers, validation, seed)
    assert not set(writers[kept]) & set(writers[held_out])
    assert sorted([*kept, *held_out]) == list(range(len(writers)))
    assert validation - max(counts) < len(held_out) <= validation       # one more writer would be too many
    assert unseen_writers_split(writers, validation, seed)[1].tolist() == held_out.tolist()


def test_a_split_of_writers_stays_what_it_was():
    """Stored: a change here would make published numbers impossible to repeat."""
    assert len(set(mnist_writers())) == 539
    kept, held_out = unseen_writers_split(mnist_writers(), 5_000, 1)
    assert (len(kept), len(held_out), held_out[:5].tolist()) == (55_074, 4_926, [12, 14, 34, 94, 100])


def test_a_split_of_writers_has_the_bounds_of_any_split():
    faults = {(6, 0): "not from 0 to 5", (-1, 0): "not from 0 to 5", (2, -1): "negative", (1, 0): "at least 2"}
    for (validation, seed), words in faults.items():
        with pytest.raises(DataError, match=words):
            unseen_writers_split(np.array([1, 1, 2, 2, 3, 3]), validation, seed)


@given(counts=st.lists(st.integers(2, 60), min_size=2, max_size=8), seed=st.integers(0, 99), data=st.data())
def test_a_stratified_split_gives_each_class_its_share(counts, seed, data):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    wanted = data.draw(st.integers(1, len(labels) // 2))
    train, test = stratified_split(labels, wanted, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    shares = np.bincount(labels[test], minlength=len(counts))
    exact = np.array(counts) * wanted / len(labels)
    assert (shares >= 1).all()
    assert (np.abs(shares - np.maximum(exact, 1)) <= 1).all()
    if (exact >= 1).all():
        assert len(test) == wanted
    assert stratified_split(labels, wanted, seed)[1].tolist() == test.tolist()


# IDX data sets


@pytest.fixture
def load(tiny, tmp_path):
    folder = tiny.write(tmp_path / "data")

    def load_tiny(**options):
        return load_dataset("tiny", **{"size": 8, "data_dir": folder, "sources": tiny.sources, **options})

    return load_tiny


def test_an_idx_data_set_is_what_its_files_hold(load, tiny, tmp_path):
    dataset = load()
    assert dataset.name == "tiny"
    assert dataset.classes == ("ant", "bee", "cow")
    assert dataset.source == f"the given folder ({tmp_path / 'data' / 'tiny'})"
    assert (len(dataset.train), len(dataset.test), dataset.validation) == (12, 6, None)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.dtype == torch.int64
    assert torch.equal(dataset.train.images, torch.from_numpy(tiny.train_images)[:, None])
    assert dataset.train.labels.tolist() == tiny.train_labels.tolist()


def test_upright_images_are_the_data_sets_own_stood_upright():
    plain, stood = load_dataset("digits"), load_dataset("digits", upright=True)
    for before, after in ((plain.train, stood.train), (plain.test, stood.test)):
        assert np.array_equal(after.images[:, 0].numpy(), upright(before.images[:, 0].numpy()))
        assert torch.equal(after.labels, before.labels)


def test_only_grey_handwriting_can_be_stood_upright(tmp_path):
    assert fault_of("digits", upright=True, channels=3) == (
        "data.upright: images of 3 channels are not grey. Set data.channels to 1."
    )
    for name in ("fashion-mnist", f"folder:{tmp_path}"):
        assert fault_of(name, upright=True) == (
            f"data.upright: {name} is not known for light ink on black. Allowed: digits, emnist, kmnist, mnist, "
            "qmnist, strokes. For other images train with data.upright=false."
        )


def test_validation_comes_from_training_alone(load):
    whole, split, other = load(), load(validation=5, split_seed=3), load(validation=5, split_seed=4)
    assert (len(split.train), len(split.validation)) == (7, 5)
    kept, held_out = validation_split(12, 5, 3)
    assert torch.equal(split.train.images, whole.train.images[kept])
    assert torch.equal(split.validation.images, whole.train.images[held_out])
    assert torch.equal(split.validation.labels, whole.train.labels[held_out])
    assert torch.equal(split.test.images, whole.test.images)
    assert not torch.equal(split.validation.images, other.validation.images)


def test_unseen_writers_wrote_no_training_image(load, tiny):
    with pytest.raises(DataError, match=r"data\.unseen_writers: who wrote tiny is not known"):
        load(validation=5, unseen_writers=True)
    writers = np.repeat([4, 9, 5], 4)
    known = dataclasses.replace(tiny.source, writers=lambda: writers)
    whole, split = (load(sources={"tiny": known}, validation=count, unseen_writers=count > 0) for count in (0, 5))
    chosen = np.isin(np.arange(12), unseen_writers_split(writers, 5, 0)[1])
    (writer,) = set(writers[chosen].tolist())
    assert writer not in writers[~chosen]
    assert torch.equal(split.validation.images, whole.train.images[chosen])
    assert torch.equal(split.train.images, whole.train.images[~chosen])
    assert torch.equal(split.train.labels, whole.train.labels[~chosen])


def test_statistics_are_of_the_whole_training_set(load, tiny):
    pixels = tiny.train_images / 255
    for dataset in (load(), load(validation=6)):
        assert dataset.mean == pytest.approx((pixels.mean(),), abs=1e-12)
        assert dataset.std == pytest.approx((pixels.std(),), abs=1e-12)


def test_statistics_are_of_each_channel():
    images = np.random.default_rng(0).integers(0, 256, (5000, 3, 4, 4), dtype=np.uint8)
    images[:, 1] //= 3
    mean, std = pixel_statistics(images)
    assert mean == pytest.approx((images / 255).mean((0, 2, 3)), abs=1e-12)
    assert std == pytest.approx((images / 255).std((0, 2, 3)), abs=1e-12)


def test_grey_is_repeated_and_resized_on_request(load):
    grey, colour, large = load(), load(channels=3), load(size=16)
    assert torch.equal(colour.train.images, grey.train.images.expand(-1, 3, -1, -1))
    assert colour.mean == grey.mean * 3
    assert large.test.images.shape == (6, 1, 16, 16)
    expected = Image.fromarray(grey.test.images[0, 0].numpy()).resize((16, 16), Image.Resampling.BICUBIC)
    assert large.test.images[0, 0].tolist() == np.asarray(expected).tolist()


def test_tensors_can_be_written(load):
    for images in (load().train.images, load(validation=2).train.images, load(channels=3).test.images):
        images.add_(1)


def test_unpacked_files_are_checked_against_the_known_count(tiny, tmp_path, load, encode_idx):
    folder = tiny.write(tmp_path / "plain", packed=False)
    assert torch.equal(load(data_dir=folder).train.images, load().train.images)
    train, test = (sorted((folder / "tiny").glob(f"{which}*")) for which in ("train", "t10k"))
    for name in zip(train, test, strict=True):
        contents = [file.read_bytes() for file in name]
        for file, content in zip(name, reversed(contents), strict=True):
            file.write_bytes(content)
    with pytest.raises(DataError, match="train-images-idx3-ubyte has 6 images, expected 12"):
        load(data_dir=folder)


def test_the_test_files_are_counted_too(load, tiny):
    sources = {"tiny": dataclasses.replace(tiny.source, test_count=7)}
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz has 6 images, expected 7"):
        load(sources=sources)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation": 12}, "validation: 12 is not from 0 to 11; there are 12 training images."),
        ({"validation": -1}, "validation: -1 is not from 0 to 11; there are 12 training images."),
        ({"split_seed": -1}, "split seed: -1 is negative. Give 0 or more."),
        ({"channels": 2}, "channels: 2 is not 1 (grey) or 3 (red, green, blue)."),
        ({"size": 0}, "size: 0 is not a side of at least 1 pixel."),
    ],
)
def test_the_faults_of_a_request(load, options, text):
    with pytest.raises(DataError) as fault:
        load(**options)
    assert str(fault.value) == text


def test_the_faults_of_a_name(tmp_path):
    assert fault_of("minst").startswith("unknown data set 'minst'. Did you mean 'mnist'?")
    assert fault_of("folder:").startswith("'folder:' names no folder. Give folder:DIR")
    assert "does not exist" in fault_of(f"folder:{tmp_path / 'none'}")


# digits, folders and the real thing


def test_digits_are_real_and_split_for_good():
    digits = load_dataset("digits", validation=100)
    assert digits.source == "bundled with scikit-learn"
    assert digits.train.images.shape == (1337, 1, 28, 28)
    assert digits.test.images.shape == (360, 1, 28, 28)
    assert torch.bincount(digits.test.labels).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert int(digits.test.images.max()) == 255
    assert digits.test.images.double().mean().item() / 255 == pytest.approx(digits.mean[0], abs=0.01)
    assert torch.equal(digits.test.images, load_dataset("digits").test.images)
    corners = digits.test.images[:, :, ::27, ::27].double().mean().item()
    assert corners < 30 < digits.test.images[:, :, 8:20, 8:20].double().mean().item()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_pictures_is_a_data_set(tmp_path, channels):
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(10):
            colour = (100 * label + index, 50, 20)
            Image.new("RGB", (9, 5), colour).save(tmp_path / "pictures" / name / f"{index}.png")
    name = f"folder:{tmp_path / 'pictures'}"
    dataset = load_dataset(name, validation=4, channels=channels, size=12, cache_dir=tmp_path / "cache")
    assert dataset.name == name
    assert dataset.classes == ("cat", "dog")
    assert dataset.source == f"the folder {tmp_path / 'pictures'}, a fifth drawn for test"
    assert dataset.train.images.shape == (12, channels, 12, 12)
    assert torch.bincount(dataset.test.labels).tolist() == [2, 2]
    assert len(dataset.mean) == len(dataset.std) == channels
    if channels == 3:  # red tells the classes apart, green is 50 everywhere
        assert dataset.mean[1:] == pytest.approx((50 / 255, 20 / 255))
        assert dataset.std[0] > 0.1
        assert dataset.std[1:] == (1.0, 1.0)
        assert ((dataset.test.images[:, 0, 0, 0] >= 100) == (dataset.test.labels == 1)).all()
        assert (dataset.test.images[:, 1] == 50).all()


def test_a_folder_that_cannot_be_read_is_a_fault(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)  # a test that runs as root has no other way
    assert (
        fault_of(f"folder:{tmp_path}") == f"{tmp_path} cannot be read: Permission denied. Check its rights."
    )


def test_pictures_of_one_even_colour_are_refused(tmp_path):
    for name in ("cat/1", "cat/2", "dog/1", "dog/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 7).save(tmp_path / f"{name}.png")
    text = fault_of(f"folder:{tmp_path}", cache_dir=tmp_path / ".cache")
    assert text == f"'folder:{tmp_path}' has one value in all training pixels. Give other pictures."


def test_the_real_mnist(real_mnist):
    mnist = load_dataset("mnist", data_dir=real_mnist)
    assert mnist.train.images.shape == (60_000, 1, 28, 28)
    assert mnist.test.images.shape == (10_000, 1, 28, 28)
    assert (mnist.mean, mnist.std) == ((0.1307,), (0.3081,))
    mean, std = pixel_statistics(mnist.train.images.numpy())
    assert (round(mean[0], 4), round(std[0], 4)) == (0.1307, 0.3081)
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert torch.bincount(mnist.test.labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
