"""Read image data from any path: decide the format, read it, and bring its splits to one form."""

from __future__ import annotations

from pathlib import Path

from featherweight.data.canonical import Split, canonical, draw_test
from featherweight.data.folders import Layout, Listing, list_folder, load_pictures
from featherweight.data.foreign import Wanted
from featherweight.data.formats.kinds import reader_of
from featherweight.data.formats.raw import Raw
from featherweight.data.pictures import damaged
from featherweight.data.read import Read
from featherweight.data.read_cache import cached_read
from featherweight.errors import DataError

DRAWN = "a fifth of each class drawn for test"


def read_path(path: Path, wanted: Wanted, cache: Path) -> Read:
    """Read image data of any known format from a file or folder.

    Raises DataError with one line: the format that is not read and how to convert it, or the fault of the data.
    """
    try:
        if not path.exists():
            raise DataError(f"{str(path)!r} does not exist. Give a file or a folder with images, or the name of a data "
                            "set: featherweight data")
        read = reader_of(path)
        if read is None:
            return read_pictures(path, wanted, cache)
        return cached_read(path, wanted, cache, lambda: finished(read(path, wanted), wanted))
    except OSError as fault:  # no permission to list the folder, or a file was deleted meanwhile
        raise DataError(f"{fault.filename or path} cannot be read: {fault.strerror or fault}. Check its rights.") \
            from fault
    except MemoryError as fault:
        raise DataError(f"{path} does not fit into memory. Give fewer images, or a smaller data.size.") from fault


def read_pictures(root: Path, wanted: Wanted, cache: Path) -> Read:
    """Read a folder of pictures. Decoded pictures are cached.

    Raises DataError with all pictures that cannot be read, unless they are skipped.
    """
    layout, faults = list_folder(root), list[str]()

    def load(listing: Listing) -> Split:
        pixels, labels, found = load_pictures(listing, root, wanted, cache)
        faults.extend(found)
        return pixels, labels

    train, test = load(layout.train), load(layout.test)
    validation = None if layout.validation is None else load(layout.validation)
    if faults and not wanted.skip_damaged:
        kept = sum(len(split[1]) for split in (train, test, *([validation] if validation else [])))
        raise damaged(sorted(faults), kept + len(faults))
    check_classes(layout, train, test, root)
    remark = f", {layout.words}" if layout.words else ""
    return Read(layout.classes, train, test, validation, f"the folder {root}{remark}", skipped=tuple(faults))


def check_classes(layout: Layout, train: Split, test: Split, root: Path) -> None:
    """Raise DataError if no training picture of a class, or no test picture at all, can be read."""
    known = set(train[1].tolist())
    if missing := [name for label, name in enumerate(layout.classes) if label not in known]:
        raise DataError(f"{root}: no training picture of the class {missing[0]!r} can be read. Mend or replace them.")
    if not len(test[1]):
        raise DataError(f"{root}: no test picture can be read. Mend or replace them.")


def finished(raw: Raw, wanted: Wanted) -> Read:
    """Convert the result of a reader to one form. Draw a test split if the data have no test or validation split.

    Validation images without test images are used for test.
    """
    order = [split for split in ("train", "test", "validation") if split in raw.splits]
    names = {"train": "training", "test": "test", "validation": "validation"}
    classes, done, span = canonical([raw.splits[split] for split in order], wanted,
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
    skipped = tuple(line for split in order for line in raw.splits[split].skipped)
    return Read(classes, found["train"], found["test"], found.get("validation"), words, (span.low, span.high),
                skipped=skipped)
