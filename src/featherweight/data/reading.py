"""Read image data from any path: decide the format, read it, and bring its splits to one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featherweight.data.canonical import Split, canonical, draw_test
from featherweight.data.folders import Listing, list_folder, load_pictures
from featherweight.data.foreign import Wanted
from featherweight.data.formats.kinds import reader_of
from featherweight.data.formats.raw import Raw
from featherweight.errors import DataError

DRAWN = "a fifth of each class drawn for test"


@dataclass(frozen=True)
class Read:
    """Data that were read from a path. Images uint8 (N, C, H, W), labels int64 (N,).

    validation: the split that the data bring themselves, or None. words: origin of the data, as a phrase for the user.
    span: pixel values that were mapped to 0 and 255.
    published: True for the published files of a named data set, for which statistics and writers are known.
    """

    classes: tuple[str, ...]
    train: Split
    test: Split
    validation: Split | None
    words: str
    span: tuple[float, float] = (0.0, 255.0)
    published: bool = False


def read_path(path: Path, channels: int, size: int, cache: Path) -> Read:
    """Read image data of any known format from a file or folder.

    Raises DataError with one line: the format that is not read and how to convert it, or the fault of the data.
    """
    try:
        if not path.exists():
            raise DataError(f"{str(path)!r} does not exist. Give a file or a folder with images, or the name of a data "
                            "set: featherweight data")
        read = reader_of(path)
        if read is None:
            return read_pictures(path, channels, size, cache)
        return finished(read(path, Wanted(channels, size)), channels, size)
    except OSError as fault:  # no permission to list the folder, or a file was deleted meanwhile
        raise DataError(f"{fault.filename or path} cannot be read: {fault.strerror or fault}. Check its rights.") \
            from fault
    except MemoryError as fault:
        raise DataError(f"{path} does not fit into memory. Give fewer images, or a smaller data.size.") from fault


def read_pictures(root: Path, channels: int, size: int, cache: Path) -> Read:
    """Read a folder of pictures. Decoded pictures are cached."""
    layout = list_folder(root)

    def load(listing: Listing) -> Split:
        return load_pictures(listing.files, root, channels, size, cache), listing.labels

    validation = None if layout.validation is None else load(layout.validation)
    remark = f", {layout.words}" if layout.words else ""
    return Read(layout.classes, load(layout.train), load(layout.test), validation, f"the folder {root}{remark}")


def finished(raw: Raw, channels: int, size: int) -> Read:
    """Convert the result of a reader to one form. Draw a test split if the data have no test or validation split.

    Validation images without test images are used for test.
    """
    order = [split for split in ("train", "test", "validation") if split in raw.splits]
    names = {"train": "training", "test": "test", "validation": "validation"}
    classes, done, span = canonical([raw.splits[split] for split in order], channels, size,
                                    [names[split] for split in order])
    found, words = dict(zip(order, done, strict=True)), raw.words
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
        words += ", validation images used for test"
    elif "test" not in found:
        found["train"], found["test"] = draw_test(found["train"], classes)
        words += f", {DRAWN}"
    if span.words:
        words += f" ({span.words})"
    return Read(classes, found["train"], found["test"], found.get("validation"), words, (span.low, span.high))
