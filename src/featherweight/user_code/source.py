"""The source text of a user's network: written into a run folder, compared by hash, and loaded again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from featherweight.documents import parse_json
from featherweight.errors import ModelError
from featherweight.files import plain_file, write_atomically
from featherweight.outside import shortened
from featherweight.user_code.modules import Library
from featherweight.user_code.pieces import joined, read_pieces

SOURCE_FOLDER, MANIFEST = "network", "network.json"     # names in a run folder


@dataclass(frozen=True)
class Source:
    """The source files of a network, and the class or function in them that builds the network."""

    entry: str                  # key of `files`: the file with the class
    attribute: str              # name of the class or function
    files: Mapping[str, str]    # path below a common folder, with "/" -> text

    @property
    def sha256(self) -> str:
        """The SHA-256 of entry, attribute and files."""
        content = json.dumps([self.entry, self.attribute, sorted(self.files.items())])
        return hashlib.sha256(content.encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write the files and their manifest into a folder."""
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / name, text.encode())
        manifest = {"entry": self.entry, "attribute": self.attribute, "files": sorted(self.files),
                    "sha256": self.sha256}
        write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> Source:
        """Read the source that `write` wrote. Raises ModelError if a file is missing or was changed."""
        try:
            manifest = parse_json(plain_file(folder / MANIFEST).read_text())
            names = [inside(name) for name in manifest["files"]]
            source = cls(inside(manifest["entry"]), str(manifest["attribute"]),
                         {name: plain_file(folder / name).read_text(encoding="utf-8") for name in names})
            known = source.sha256 == manifest["sha256"] and source.entry in source.files
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise ModelError(f"the network's source in {str(folder)!r} cannot be read: {shortened(fault)}.") from fault
        if not known:
            raise ModelError(f"the network's source in {str(folder)!r} was changed after training began. "
                             "Put the original files back, or train again.")
        return source


def inside(name: str) -> str:
    """Return `name` unchanged. Raises ValueError unless it is a relative path without `..`."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{name!r} lies outside of the folder")
    return name


def holder_of(file: Path) -> Path | None:
    """Return the nearest folder above a file that contains a manifest. None for a file outside of run folders."""
    return next((folder for folder in file.resolve().parents if is_manifest(folder / MANIFEST)), None)


def is_manifest(file: Path) -> bool:
    """True if the file is a manifest from Source.write, and not another file of the same name."""
    try:
        content = parse_json(plain_file(file).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"entry", "attribute", "files", "sha256"} <= content.keys()


def collect(library: Library, file: Path, attribute: str) -> Source:
    """Return the source of a class: its file and all user files that were imported for it."""
    common = Path(os.path.commonpath([each.parent for each in library.modules]))
    names = {each: python_name(each, library.modules).relative_to(common).as_posix() for each in library.modules}
    return Source(names[file.resolve()], attribute, {name: library.modules[each].text for each, name in names.items()})


def python_name(file: Path, others: Collection[Path]) -> Path:
    """Return the file's path in a run: net.ipynb becomes net.py, or net_.py if `others` has net.py already."""
    if file.suffix == ".py":
        return file
    plain = file.with_suffix(".py")
    while plain in others:
        plain = plain.with_stem(f"{plain.stem}_")
    return plain


def text_of(file: Path) -> str:
    """Return a file's source text. For a notebook: the text of all code cells."""
    return joined(read_pieces(file))
