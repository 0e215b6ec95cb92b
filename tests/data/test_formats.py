"""Data in every format that people have: read as they are, and one line for the others."""

from __future__ import annotations

import gzip
import io
import shlex
import struct
import subprocess
import sys
import zipfile

import digit_files as forms
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from featherweight.data import is_loadable, load_dataset
from featherweight.data.names import is_path, settled_name
from featherweight.errors import DataError, MissingExtra, UnknownName

DIGITS = forms.real_digits()
NAMES = tuple("0123456789")


@pytest.fixture
def load(tmp_path):
    def load(path, size=8, **options):
        return load_dataset(str(path), size=size, cache_dir=tmp_path / "cache", **options)

    return load


def fault_of(load, path, **options):
    with pytest.raises((DataError, UnknownName)) as fault:
        load(path, **options)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def check(dataset, classes=NAMES):
    """Both splits are the digits, in order."""
    assert dataset.classes == tuple(classes)
    assert dataset.train.images.dtype == torch.uint8 and dataset.train.labels.dtype == torch.int64
    for split, images, labels in ((dataset.train, DIGITS.train, DIGITS.train_labels),
                                  (dataset.test, DIGITS.test, DIGITS.test_labels)):
        assert np.array_equal(split.images.numpy()[:, 0], images)
        assert np.array_equal(split.labels.numpy(), labels)


def check_drawn(dataset, count):
    """One split was divided: a fifth of it is test."""
    assert len(dataset.train) + len(dataset.test) == count
    assert len(dataset.test) == round(count / 5)
    assert "a fifth" in dataset.source


# ---- IDX ----


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("inside", ["", "raw", "MNIST/raw"])
def test_the_mnist_family_is_read_where_it_lies(tmp_path, load, packed, mark, inside):
    forms.write_mnist(tmp_path / "d" / inside, DIGITS, packed=packed, mark=mark)
    given = tmp_path / "d" if inside != "MNIST/raw" else tmp_path / "d" / "MNIST"
    check(load(given))
    check(load(f"folder:{given}"))


def test_a_file_of_a_set_stands_for_the_set(tmp_path, load):
    forms.write_mnist(tmp_path, DIGITS, packed=False, mark="-")
    check(load(tmp_path / "t10k-labels-idx1-ubyte"))


def test_qmnist_has_a_table_of_labels(tmp_path, load):
    check(load(forms.write_qmnist(tmp_path, DIGITS)))


def test_emnist_is_turned_and_named_by_its_mapping(tmp_path, load):
    check(load(forms.write_emnist(tmp_path, DIGITS, "letters", first=1)), "abcdefghij")


def test_emnist_without_its_mapping_has_the_published_names(tmp_path, load):
    dataset = load(forms.write_emnist(tmp_path, DIGITS, "letters", first=1, mapping=False))
    assert dataset.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert np.array_equal(dataset.train.labels.numpy(), DIGITS.train_labels)
    balanced = load(forms.write_emnist(tmp_path / "b", DIGITS, "balanced", mapping=False))
    assert balanced.classes == tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")


def test_several_sets_in_a_folder_are_told_apart_by_a_file(tmp_path, load):
    forms.write_emnist(tmp_path, DIGITS, "letters", first=1)
    forms.write_emnist(tmp_path, DIGITS, "digits")
    assert "holds 2 data sets of IDX files. Give a file of one, such as " in fault_of(load, tmp_path)
    check(load(tmp_path / "emnist-digits-test-labels-idx1-ubyte.gz"), "abcdefghij")


def test_the_faults_of_a_set(tmp_path, load):
    forms.write_mnist(tmp_path, DIGITS, packed=False, mark="-")
    labels = tmp_path / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    assert f"{tmp_path} lacks train-labels-idx1-ubyte." in fault_of(load, tmp_path)
    labels.write_bytes(content[:-1])
    assert f"{labels} is cut off: 59 bytes after the header, expected 60. Give the right" in fault_of(load, tmp_path)
    labels.write_bytes(b"<!DOCTYPE html><html>no</html>")
    assert f"{labels} is no IDX file of labels: it is an HTML page." in fault_of(load, tmp_path)
    labels.write_bytes(struct.pack(">I2I", 0x0C02, 0xFFFFFFFF, 0xFFFFFFFF))
    assert "says that it holds 4,294,967,295 x 4,294,967,295 numbers" in fault_of(load, tmp_path)
    other = tmp_path / "other"
    other.write_bytes(forms.idx(DIGITS.train))
    assert "is an IDX file, and its name does not say which." in fault_of(load, other)


@pytest.mark.parametrize("text", ["1", "one 65", "1 x", "1 65\n3 66", "1 99999999999999999999", ""])
def test_a_mapping_that_is_none_is_refused(tmp_path, load, text):
    forms.write_emnist(tmp_path, DIGITS, "letters", first=1)
    (tmp_path / "emnist-letters-mapping.txt").write_text(text)
    assert "emnist-letters-mapping.txt is no mapping of EMNIST: " in fault_of(load, tmp_path)


# ---- arrays of NumPy ----


def pairs(**more):
    return {"x_train": DIGITS.train, "y_train": DIGITS.train_labels.astype(np.uint8), "x_test": DIGITS.test,
            "y_test": DIGITS.test_labels.astype(np.uint8), **more}


def test_mnist_npz_of_keras(tmp_path, load):
    np.savez_compressed(tmp_path / "mnist.npz", **pairs())
    check(load(tmp_path / "mnist.npz"))
    check(load(tmp_path))
    assert "mnist.npz" in load(tmp_path).source


def test_a_validation_split_of_its_own_is_kept(tmp_path, load):
    """As in the files of MedMNIST."""
    both = {"train": (DIGITS.train, DIGITS.train_labels), "test": (DIGITS.test, DIGITS.test_labels),
            "val": (DIGITS.test[::-1], DIGITS.test_labels[::-1])}
    arrays = {f"{split}_{what}": values for split, two in both.items()
              for what, values in zip(("images", "labels"), (two[0], two[1][:, None]), strict=True)}
    np.savez(tmp_path / "med.npz", **arrays)
    dataset = load(tmp_path / "med.npz", validation=7)
    check(dataset)
    assert np.array_equal(dataset.validation.images.numpy()[:, 0], DIGITS.test[::-1])
    assert dataset.hold_out(5, 1) is dataset


def test_files_of_one_array_each(tmp_path, load):
    """As those of Kuzushiji-MNIST."""
    for split, images, labels in DIGITS.splits:
        np.savez(tmp_path / f"kmnist-{split}-imgs.npz", images)
        np.savez(tmp_path / f"kmnist-{split}-labels.npz", labels)
    check(load(tmp_path))
    check(load(tmp_path / "kmnist-train-imgs.npz"))


def test_npy_pairs(tmp_path, load):
    for name, values in pairs().items():
        np.save(tmp_path / f"{name}.npy", values)
    check(load(tmp_path))
    check(load(tmp_path / "x_train.npy"))


def test_one_pair_is_divided(tmp_path, load):
    np.save(tmp_path / "X.npy", DIGITS.train.reshape(60, -1) / 255)
    np.save(tmp_path / "Y.npy", np.eye(10)[DIGITS.train_labels])
    dataset = load(tmp_path / "X.npy")
    check_drawn(dataset, 60)
    assert "floats from 0 to 1" in dataset.source and dataset.span == (0, 1)


def test_images_in_the_order_of_fortran(tmp_path, load):
    np.savez(tmp_path / "a.npz", **pairs(x_train=np.asfortranarray(DIGITS.train)))
    check(load(tmp_path / "a.npz"))


def header(shape, dtype="|u1"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def in_zip(content, name="x_train.npy"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("y_train.npy", header((1,)) + b"\0")
    return stream.getvalue()


@pytest.mark.parametrize(("content", "words"), [
    (in_zip(header((2**40, 28, 28))), "its array 'x_train', holds an array of"),
    (in_zip(header((5, 8, 8))), "cannot be read as a .npz file"),
    (in_zip(header((1,), "|O") + b"x"), "holds Python objects, which only a pickle can restore"),
    (in_zip(b"nonsense"), "cannot be read as a .npz file"),
    (in_zip(header("9" * 30)), "cannot be read as a .npz file"),
    (in_zip(header((1, 8, 8)), "pictures.npy"), "no arrays that are named as images (found: pictures, y_train)"),
    (in_zip(header((1, 8, 8)), "x_test.npy"), "no labels for 'x_test'"),
    (b"PK\x03\x04 and no more", "cannot be read as a .npz file"),
])
def test_hostile_npz_files(tmp_path, load, content, words):
    (tmp_path / "a.npz").write_bytes(content)
    assert words in fault_of(load, tmp_path / "a.npz")


@pytest.mark.parametrize("content", [header((2**50,)), header((3, 8, 8)), b"\x93NUMPY\x01\x00", b"\x93NUMPY\x09\x00ab"])
def test_hostile_npy_files(tmp_path, load, content):
    np.save(tmp_path / "y.npy", [0, 1, 2])
    (tmp_path / "x.npy").write_bytes(content)
    assert str(tmp_path / "x.npy") in fault_of(load, tmp_path / "x.npy")


def test_arrays_that_fit_no_image_or_label(tmp_path, load):
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 50)), y=np.arange(9))
    assert "images of 50 values, which form no square" in fault_of(load, tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **pairs(y_test=DIGITS.test_labels[:-1]))
    assert "29 test labels for 30 images" in fault_of(load, tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", images=DIGITS.train, data=DIGITS.train, labels=DIGITS.train_labels)
    assert "holds 'images' and 'data', and both may be the images" in fault_of(load, tmp_path / "c.npz")


# ---- tables ----


def test_tables_of_kaggle(tmp_path, load):
    forms.write_csv(tmp_path / "train.csv", DIGITS.train, DIGITS.train_labels, header=True)
    forms.write_csv(tmp_path / "test.csv", DIGITS.test, None, header=True)
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    for given in (tmp_path, tmp_path / "train.csv"):
        dataset = load(given)
        check_drawn(dataset, 60)
        assert "test.csv has no labels and is not used" in dataset.source
    assert "pixels without a label" in fault_of(load, tmp_path / "test.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_without_a_header(tmp_path, load, separator):
    for split, images, labels in DIGITS.splits:
        forms.write_csv(tmp_path / f"mnist_{split}.csv", images, labels, header=False, separator=separator)
    check(load(tmp_path))
    check(load(tmp_path / "mnist_train.csv"))
    (tmp_path / "mnist_train.csv").rename(tmp_path / "digits.csv")
    check_drawn(load(tmp_path / "digits.csv"), 60)


def test_the_label_may_be_any_column(tmp_path, load):
    forms.write_csv(tmp_path / "a.csv", DIGITS.train, None, header=True)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    column = ["label", *DIGITS.train_labels]
    (tmp_path / "a.csv").write_text("\n".join(f"{line},{label}" for line, label in zip(lines, column, strict=True)))
    check_drawn(load(tmp_path / "a.csv"), 60)


def test_a_table_of_emnist_is_turned(tmp_path, load):
    for split, images, labels in DIGITS.splits:
        forms.write_csv(tmp_path / f"emnist-letters-{split}.csv", images.transpose(0, 2, 1), labels + 1, header=False)
    check(load(tmp_path), "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize(("text", "words"), [
    ("", "has 1 columns"),
    ("label,pixel0\n1,2\n", "has 2 columns"),
    ("label," + ",".join("abcd") + "\n", "has no row below its header"),
    ("label," + ",".join("abcd") + "\n1,2,3,4,cow\n", "is no table of numbers"),
    ("1,2,3,4,5\n1,2,3\n", "is no table of numbers"),
    ("1.5,2,3,4,5\n1.5,2,3,4,5\n", "labels that are no whole numbers"),
    ("1" * 1_000_001, "a line of over 1,000,000 characters"),
])
def test_hostile_tables(tmp_path, load, text, words):
    (tmp_path / "a.csv").write_text(text or "\n")
    assert words in fault_of(load, tmp_path / "a.csv")


# ---- Parquet ----


def write_parquet(file, images, labels, names=("zero", *NAMES[1:])):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def png(image):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        return stream.getvalue()

    cells = [{"bytes": png(image), "path": None} for image in images]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({"image": pyarrow.array(cells, kind), "label": pyarrow.array(labels, pyarrow.int64())})
    told = f'{{"info": {{"features": {{"label": {{"names": [{", ".join(chr(34) + n + chr(34) for n in names)}]}}}}}}}}'
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.replace_schema_metadata({"huggingface": told}), file)


def test_parquet_with_image_structs(tmp_path, load):
    for split, images, labels in DIGITS.splits:
        for part in range(2):
            half = slice(part * len(images) // 2, (part + 1) * len(images) // 2)
            write_parquet(tmp_path / "data" / f"{split}-0000{part}-of-00002.parquet", images[half], labels[half])
    check(load(tmp_path), ("zero", *NAMES[1:]))
    write_parquet(tmp_path / "one.parquet", DIGITS.train, DIGITS.train_labels)
    check_drawn(load(tmp_path / "one.parquet"), 60)


def test_hostile_parquet_files(tmp_path, load):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1 and no more")
    assert "cannot be read as a Parquet file" in fault_of(load, file)
    parquet.write_table(pyarrow.table({"text": ["a"], "label": [1]}), file)
    assert "has no column 'image', only text, label" in fault_of(load, file)
    parquet.write_table(pyarrow.table({"image": [b"no picture"], "label": [1]}), file)
    assert "its row 0, cannot be read as a picture" in fault_of(load, file)
    parquet.write_table(pyarrow.table({"image": [{"bytes": None, "path": "/etc/passwd"}], "label": [1]}), file)
    assert "no column 'image'" in fault_of(load, file) or "an image without bytes" in fault_of(load, file)


def test_parquet_without_its_extra_names_the_command(tmp_path, load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"pyarrow is not installed.*pip install .*\[parquet\]"):
        load(tmp_path / "train.parquet")


# ---- MATLAB ----


def test_svhn(tmp_path, load):
    folder = forms.write_svhn(tmp_path / "svhn", DIGITS)
    for given in (folder, folder / "train_32x32.mat"):
        dataset = load(given, size=32, channels=3)
        assert dataset.classes == NAMES
        assert np.array_equal(dataset.train.images.numpy(), forms.large(DIGITS.train, 32))
        assert np.array_equal(dataset.test.labels.numpy(), DIGITS.test_labels)


def test_usps(tmp_path, load):
    dataset = load(forms.write_resampled_usps(tmp_path / "usps_resampled.mat", DIGITS), size=16)
    assert np.array_equal(dataset.train.images.numpy()[:, 0], forms.large(DIGITS.train, 16)[:, 0])
    assert np.array_equal(dataset.test.labels.numpy(), DIGITS.test_labels)
    sixteen = forms.large(DIGITS.train, 16)[:, 0].reshape(60, -1) / 127.5 - 1
    savemat(tmp_path / "USPS.mat", {"fea": sixteen, "gnd": DIGITS.train_labels[:, None] + 1.0})
    dataset = load(tmp_path / "USPS.mat", size=16)
    check_drawn(dataset, 60)
    assert dataset.classes == NAMES


def test_usps_has_its_published_test_images(tmp_path, load):
    images = np.zeros((9298, 4), np.uint8)
    images[7291:] = 200
    savemat(tmp_path / "USPS.mat", {"fea": images + np.arange(4, dtype=np.uint8), "gnd": np.arange(9298) % 10 + 1})
    dataset = load(tmp_path / "USPS.mat")
    assert len(dataset.train) == 7291 and dataset.test.images.min() > 150


def test_digits_by_class_and_named_arrays(tmp_path, load):
    arrays = {f"{split}{digit}": images[labels == digit].reshape(-1, 64)
              for split, images, labels in DIGITS.splits for digit in range(10)}
    savemat(tmp_path / "mnist_all.mat", arrays)
    dataset = load(tmp_path / "mnist_all.mat")
    order = np.argsort(DIGITS.train_labels, kind="stable")
    assert np.array_equal(dataset.train.images.numpy()[:, 0], DIGITS.train[order])
    whole = {"data": DIGITS.train.reshape(60, -1).T, "label": DIGITS.train_labels[None]}
    savemat(tmp_path / "mnist-original.mat", whole)
    check_drawn(load(tmp_path / "mnist-original.mat"), 60)


def test_hostile_mat_files(tmp_path, load):
    file = tmp_path / "a.mat"
    savemat(file, {"dataset": {"train": 1}})
    assert "'dataset', a struct of MATLAB, not an array" in fault_of(load, file)
    savemat(file, {"images": DIGITS.train, "labels": DIGITS.train_labels})
    whole = file.read_bytes()
    for content in (whole[:200], whole[:128], whole[:136] + b"\xff" * 60 + whole[196:]):
        file.write_bytes(content)
        assert str(file) in fault_of(load, file)
    file.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(493) + b"\x89HDF\r\n\x1a\n")
    assert "is a MATLAB 7.3 file, which is HDF5. Save it again in MATLAB" in fault_of(load, file)


# ---- CIFAR ----


def test_cifar_10(tmp_path, load):
    folder = forms.write_cifar10(tmp_path / "cifar-10-batches-bin", DIGITS)
    for given in (folder, folder / "data_batch_1.bin"):
        dataset = load(given, size=32, channels=3)
        assert dataset.classes[0] == "airplane"
        assert np.array_equal(dataset.train.images.numpy(), forms.large(DIGITS.train, 32))
        assert np.array_equal(dataset.test.labels.numpy(), DIGITS.test_labels)
    by_name = load("cifar-10", data_dir=tmp_path, size=32, channels=3)
    assert by_name.source == f"the given folder ({folder})"
    assert torch.equal(by_name.train.images, dataset.train.images)


def test_cifar_100(tmp_path, load):
    dataset = load(forms.write_cifar100(tmp_path / "cifar-100-binary", DIGITS), size=32, channels=3)
    assert dataset.classes[7] == "thing7" and len(dataset.classes) == 100
    assert np.array_equal(dataset.train.labels.numpy(), DIGITS.train_labels)
    assert np.array_equal(dataset.train.images.numpy(), forms.large(DIGITS.train, 32))


def test_the_faults_of_cifar(tmp_path, load):
    folder = forms.write_cifar10(tmp_path / "c", DIGITS)
    (folder / "data_batch_2.bin").write_bytes(bytes(100))
    assert "data_batch_2.bin has 100 bytes, which are not whole records of 3,073 bytes" in fault_of(load, folder)
    (folder / "data_batch_2.bin").write_bytes(b"\x0a" + bytes(3072))
    assert "has the label 10, expected 0 to 9" in fault_of(load, folder)
    (tmp_path / "x.bin").write_bytes(bytes(range(200)))
    assert "is no data set of a known binary format" in fault_of(load, tmp_path / "x.bin")


def test_pickled_cifar_is_refused_and_its_command_converts_it(tmp_path, load):
    folder = forms.write_pickled_cifar10(tmp_path / "cifar-10-batches-py", DIGITS)
    text = fault_of(load, folder)
    assert "holds CIFAR as pickles; reading a pickle may run code in it, so none is read" in text
    _, _, command = text.partition("run in that folder: ")
    subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=folder, check=True)
    dataset = load(folder / "cifar10.npz", size=32, channels=3)
    assert np.array_equal(dataset.train.images.numpy(), forms.large(DIGITS.train, 32))
    assert np.array_equal(dataset.test.labels.numpy(), DIGITS.test_labels)
    assert "is a pickle. Reading a pickle may run code" in fault_of(load, folder / "test_batch")


# ---- pictures ----


def in_classes(folder, images, labels):
    return forms.write_pictures(folder, images, [f"{label}/{place:03}.png" for place, label in enumerate(labels)])


def sorted_by_class(images, labels):
    return images[np.argsort(labels, kind="stable")]


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("train", "val"), ("train", "valid"),
                                             ("training", "testing"), ("Training", "Validation")])
def test_the_names_of_two_splits(tmp_path, load, train, test):
    in_classes(tmp_path / train, DIGITS.train, DIGITS.train_labels)
    in_classes(tmp_path / test, DIGITS.test, DIGITS.test_labels)
    dataset = load(tmp_path)
    assert np.array_equal(dataset.train.images.numpy()[:, 0], sorted_by_class(DIGITS.train, DIGITS.train_labels))
    assert np.array_equal(dataset.test.images.numpy()[:, 0], sorted_by_class(DIGITS.test, DIGITS.test_labels))
    assert dataset.validation is None
    assert (f"test images from {test}/" in dataset.source) == (test.lower() in ("val", "valid", "validation"))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_validation_folder_is_used_for_validation(tmp_path, load, name):
    in_classes(tmp_path / "train", DIGITS.train, DIGITS.train_labels)
    in_classes(tmp_path / "test", DIGITS.test, DIGITS.test_labels)
    in_classes(tmp_path / name, DIGITS.test[::-1], DIGITS.test_labels[::-1])
    dataset = load(tmp_path)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (60, 30, 30)
    assert f"validation images from {name}/" in dataset.source
    expected = sorted_by_class(DIGITS.test[::-1], DIGITS.test_labels[::-1])
    assert np.array_equal(dataset.validation.images.numpy()[:, 0], expected)


@pytest.mark.parametrize("form", [
    "{label}_{place:03}.png", "{label}-{place}.png", "{label}.{place}.png", "{place:04}_{label}.png",
    "img_{place:04}_{label}.png",
])
def test_the_label_in_the_name(tmp_path, load, form):
    names = [form.format(label=label, place=place) for place, label in enumerate(DIGITS.train_labels)]
    forms.write_pictures(tmp_path / "flat", DIGITS.train, names)
    dataset = load(tmp_path / "flat")
    assert dataset.classes == NAMES
    check_drawn(dataset, 60)
    images = {image.tobytes(): label for image, label in zip(DIGITS.train, DIGITS.train_labels, strict=True)}
    for image, label in zip(dataset.test.images.numpy()[:, 0], dataset.test.labels.tolist(), strict=True):
        assert images[image.tobytes()] == label


def test_words_in_the_name_and_in_two_splits(tmp_path, load):
    words = ["cat" if label % 2 else "dog" for label in range(20)]
    forms.write_pictures(tmp_path / "train", DIGITS.train[:20], [f"{word}{n}.png" for n, word in enumerate(words)])
    forms.write_pictures(tmp_path / "test", DIGITS.test[:20], [f"{word}.{n}.png" for n, word in enumerate(words)])
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog") and (len(dataset.train), len(dataset.test)) == (20, 20)
    assert dataset.train.labels.tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize(("title", "row"), [
    ("file,label", "{name}.png,{label}"), ("id,breed", "{name},{label}"), ("", "{name}.png;{label}"),
    ("width,label,image", "8,{label},{name}.png"), ("file,label", "images/{name}.png,{label}"),
])
@pytest.mark.parametrize("inside", ["", "images"])
def test_the_label_in_a_table(tmp_path, load, title, row, inside):
    if row.startswith("images/") and not inside:
        pytest.skip("the row names the folder")
    names = [f"p{place}" for place in range(60)]
    forms.write_pictures(tmp_path / "d" / inside, DIGITS.train, [f"{name}.png" for name in names])
    rows = [row.format(name=name, label=f"n{label}") for name, label in zip(names, DIGITS.train_labels, strict=True)]
    (tmp_path / "d" / "labels.csv").write_text("\n".join([title, *rows]).strip())
    dataset = load(tmp_path / "d")
    assert dataset.classes == tuple(f"n{digit}" for digit in range(10))
    check_drawn(dataset, 60)


def test_the_faults_of_flat_pictures(tmp_path, load):
    folder = forms.write_pictures(tmp_path / "a", DIGITS.train[:4], ["a_1.png", "b_2.png", "c_3.png", "d_4.png"])
    assert "whose names do not say their classes, such as a_1.png" in fault_of(load, folder)
    table = folder / "labels.csv"
    table.write_text("file,label\na_1,x\nb_2,y\nc_3,x\n")
    assert "d_4.png has no label in" in fault_of(load, folder)
    table.write_text("file,label\na_1,x\nb_2,y\nc_3,x\nd_4,y\n../../secret,y\n")
    assert "its picture 5, '../../secret, y', is not in" in fault_of(load, folder)
    table.write_text("file,one,two\na_1,x,y\n")
    assert "which of its 3 columns holds the labels is not clear" in fault_of(load, folder)
    table.write_bytes(b"file,label\n\xff\xfe\x00")
    assert str(table) in fault_of(load, folder)


# ---- formats that are not read ----


@pytest.mark.parametrize(("name", "content", "words"), [
    ("mnist.pkl", b"\x80\x04\x95rest", "is a pickle. Reading a pickle may run code in it, so none is read."),
    ("mnist.pkl.gz", gzip.compress(b"\x80\x02}q", mtime=0), "is a gzip file, and its content is a pickle. Unpack it"),
    ("cifar.tar.gz", gzip.compress(bytes(257) + b"ustar" + bytes(300), mtime=0), "its content is a tar archive."),
    ("a.tar", bytes(257) + b"ustar" + bytes(300), "is a tar archive. Unpack it and give the folder: tar -xf /"),
    ("a.zip", b"PK\x03\x04", "is a zip archive. Unpack it and give the folder: unzip /"),
    ("usps.h5", b"\x89HDF\r\n\x1a\n", "is an HDF5 file. Convert it with h5py"),
    ("usps.bz2", b"BZh9", "is a bzip2 file. Unpack it"),
    ("a.arrow", b"ARROW1", "is an Arrow file. Convert it: datasets"),
    ("a.png", b"\x89PNG\r\n", "is a picture. Give the folder"),
    ("a.npz", b"<!doctype html>", "is an HTML page. It is probably the answer of a server"),
    ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the file itself."),
    ("a.csv", b"", "is empty. Known are folders of pictures, IDX"),
    ("a.json", b'{"a": 1}', "is a text that begins with '{\"a\": 1}'. Known are"),
    ("a.dat", b"\x07\x01\x02\x03\x04", "is of no known format, its first bytes are 07 01 02 03. Known are"),
    ("a.gz", b"\x1f\x8b\x07\x00broken", "is a damaged gzip file"),
])
def test_other_formats_are_named_with_the_way_to_convert_them(tmp_path, load, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in fault_of(load, tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


def test_what_does_not_exist_is_named(tmp_path, load):
    assert fault_of(load, tmp_path / "none.npz").startswith(f"'{tmp_path}/none.npz' does not exist. Give a file")
    assert "Or give a file or folder. See: featherweight data" in fault_of(load, "imagenet")
    for strange in ("x" * 5000, "x" * 5000 + ".npz", "a/\0b"):
        assert fault_of(load, strange)
    (tmp_path / "empty").mkdir()
    assert "has no class folders" in fault_of(load, tmp_path / "empty")


# ---- names and paths ----


def test_a_name_or_a_path(tmp_path, monkeypatch, load):
    for path in ("a/b", "./a", "~/a", "folder:a", "mnist.npz", "train.csv", "C:\\data"):
        assert is_path(path) and is_loadable(path)
    for name in ("mnist", "cifar-10", "arrays-1234", "pictures", ""):
        assert not is_path(name)
    monkeypatch.chdir(tmp_path)
    forms.write_mnist(tmp_path / "pictures", DIGITS, packed=False, mark="-")
    forms.write_mnist(tmp_path / "digits", DIGITS, packed=False, mark="-")
    assert settled_name("pictures") == "./pictures" and settled_name("digits") == "digits"
    assert load("pictures").name == "./pictures"
    check(load("pictures"))


def test_known_sets_that_are_not_downloaded(tmp_path, load):
    forms.write_emnist(tmp_path / "EMNIST" / "raw", DIGITS, "balanced", mapping=False)
    forms.write_qmnist(tmp_path / "QMNIST" / "raw", DIGITS)
    assert len(load("emnist", data_dir=tmp_path).classes) == 47
    check(load("qmnist", data_dir=tmp_path))
    assert fault_of(load, "cifar-10") == (
        "data set 'cifar-10' is not on this machine, and featherweight does not download it. Get it from "
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, unpack it into a folder cifar-10/, and give "
        "data_dir= with the folder that holds it."
    )


@pytest.mark.parametrize("form", ["mnist.npz", "mnist/any.npz", "any.npz", "train.csv", "mnist/train/0/0.png"])
def test_a_given_folder_may_hold_a_named_set_in_another_format(tmp_path, load, form):
    file = tmp_path / "given" / form
    file.parent.mkdir(parents=True)
    if form.endswith(".npz"):
        np.savez(file, **pairs())
    elif form.endswith(".csv"):
        forms.write_csv(file, DIGITS.train, DIGITS.train_labels, header=True)
        forms.write_csv(file.with_name("test.csv"), DIGITS.test, DIGITS.test_labels, header=True)
    else:
        in_classes(tmp_path / "given/mnist/train", DIGITS.train, DIGITS.train_labels)
        in_classes(tmp_path / "given/mnist/test", DIGITS.test, DIGITS.test_labels)
    dataset = load("mnist", data_dir=tmp_path / "given")
    assert dataset.name == "mnist" and dataset.classes == NAMES and dataset.writers is None
    assert (len(dataset.train), len(dataset.test)) == (60, 30)
    assert dataset.mean == pytest.approx([float(dataset.train.images.double().mean()) / 255])
    fashion = load("fashion-mnist", data_dir=tmp_path / "given") if "mnist" not in form else None
    assert fashion is None or fashion.classes[9] == "Ankle boot"


def test_a_named_set_has_its_own_classes(tmp_path, load):
    np.savez(tmp_path / "mnist.npz", **pairs(y_train=DIGITS.train_labels % 3, y_test=DIGITS.test_labels % 3))
    assert "has 3 classes (0, 1, 2), not those of mnist. Give it as data of your own: data=" in fault_of(
        load, "mnist", data_dir=tmp_path)


def test_a_relative_path_may_lie_in_the_given_folder(tmp_path, load):
    np.savez(tmp_path / "digits.npz", **pairs())
    check(load("digits.npz", data_dir=tmp_path))
