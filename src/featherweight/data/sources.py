"""The named data sets: files, checksums, mirrors, licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featherweight.data.formats.emnist import CLASSES as EMNIST_CLASSES
from featherweight.data.places import IDX_FILES
from featherweight.data.published import Published
from featherweight.data.strokes import TEST, TRAIN
from featherweight.data.writers import mnist_writers

DIGITS = tuple("0123456789")
Writers = Callable[[], NDArray[np.int64]]     # a function, so that the numbers are read only if needed


@dataclass(frozen=True)
class Source:
    """Description of a data set that is known without reading its files.

    train_count, test_count: number of images in each split.
    sha256: the four IDX file names with the checksums of the published files. None for data without such files.
    content: the same for the unpacked files. None if unknown.
    side: height and width of an image in pixels. None if unknown.
    channels: 1 for grey images, 3 for colour images.
    folders: names of the folders in which the files are searched, beside the data set's own name.
    page: where a user finds data that featherweight reads but does not download. Empty for other data.
    first: one file of such data, by which the folder is recognised.
    mean, std: published values for training pixels in [0, 1]. None: computed from the pixels.
    writers: a function that returns a writer's number for each training image. None: the writers are unknown.
    origin: of a data set without files: a phrase for the user.
    """

    name: str
    about: str
    classes: tuple[str, ...]
    train_count: int
    test_count: int
    licence: str
    citation: str
    mirrors: tuple[str, ...] = ()
    sha256: Mapping[str, str] | None = None
    mean: float | None = None
    std: float | None = None
    writers: Writers | None = None
    origin: str = ""
    content: Mapping[str, str] | None = None
    side: int | None = None
    channels: int = 1
    folders: tuple[str, ...] = ()
    page: str = ""
    first: str = ""

    @property
    def published(self) -> Published:
        """Known properties of the four published files."""
        return Published(self.name, self.sha256 or {}, self.content or {}, len(self.classes),
                         (self.train_count, self.test_count), self.side)


def _checksums(*sha256: str) -> dict[str, str]:
    return dict(zip(IDX_FILES, sha256, strict=True))


SOURCES: dict[str, Source] = {
    "mnist": Source(
        name="mnist",
        about="handwritten digits, 28x28 grey",
        classes=DIGITS,
        train_count=60_000,
        test_count=10_000,
        licence="CC BY-SA 3.0",
        citation="LeCun, Cortes, Burges: The MNIST database of handwritten digits, 1998",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        sha256=_checksums(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        content=_checksums(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        side=28,
        folders=("MNIST",),
        mean=0.1307,
        std=0.3081,
        writers=mnist_writers,
    ),
    "fashion-mnist": Source(
        name="fashion-mnist",
        about="clothes from a shop's catalogue, 28x28 grey",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train_count=60_000,
        test_count=10_000,
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv:1708.07747, 2017",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        sha256=_checksums(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        side=28,
        folders=("FashionMNIST", "fashion"),
    ),
    "kmnist": Source(
        name="kmnist",
        about="handwritten cursive Japanese, one character for each row of hiragana, 28x28 grey",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        train_count=60_000,
        test_count=10_000,
        licence="CC BY-SA 4.0",
        citation="Clanuwat et al.: Deep Learning for Classical Japanese Literature, arXiv:1812.01718, 2018",
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        sha256=_checksums(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        side=28,
        folders=("KMNIST",),
    ),
    "digits": Source(
        name="digits",
        about="handwritten digits bundled with scikit-learn, 8x8 with 16 levels, resized; never downloads",
        classes=DIGITS,
        train_count=1_437,
        test_count=360,
        licence="CC BY 4.0",
        citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998",
        origin="bundled with scikit-learn",
    ),
    "strokes": Source(
        name="strokes",
        about="digits drawn by a program, in the forms of many countries, 28x28 grey; never downloads",
        classes=DIGITS,
        train_count=TRAIN,
        test_count=TEST,
        licence="that of featherweight",
        citation="featherweight/data/forms.py",
        origin="drawn by featherweight",
    ),
    "emnist": Source(
        name="emnist",
        about="handwritten digits and letters, the balanced split, 28x28 grey; read, not downloaded",
        classes=EMNIST_CLASSES["balanced"],
        train_count=112_800,
        test_count=18_800,
        licence="not stated by its authors",
        citation="Cohen, Afshar, Tapson, van Schaik: EMNIST, arXiv:1702.05373, 2017",
        folders=("EMNIST", "emnist-gzip", "gzip"),
        page="https://www.nist.gov/itl/products-and-services/emnist-dataset (gzip.zip)",
        first="emnist-balanced-train-images-idx3-ubyte.gz",
    ),
    "qmnist": Source(
        name="qmnist",
        about="MNIST with 60,000 test images, 28x28 grey; read, not downloaded",
        classes=DIGITS,
        train_count=60_000,
        test_count=60_000,
        licence="BSD 3-Clause",
        citation="Yadav, Bottou: Cold Case: The Lost MNIST Digits, arXiv:1905.10498, 2019",
        folders=("QMNIST",),
        page="https://github.com/facebookresearch/qmnist (the four qmnist-*.gz files)",
        first="qmnist-train-images-idx3-ubyte.gz",
    ),
    "cifar-10": Source(
        name="cifar-10",
        about="photographs of ten kinds of things, 32x32 in colour; read, not downloaded",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        train_count=50_000,
        test_count=10_000,
        licence="not stated by its authors",
        citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
        channels=3,
        folders=("cifar-10-batches-bin", "cifar10", "CIFAR10/cifar-10-batches-bin"),
        page="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        first="data_batch_1.bin",
    ),
}
