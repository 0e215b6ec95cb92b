"""The output folder of an export. It is checked before the work begins and written when all files are ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from featherweight.errors import FeatherweightError
from featherweight.files import is_one_of, names_in, replacing
from featherweight.wording import option

OURS = ("model.onnx", "layers.onnx", "card.json", "card.md", "featherweight_model.c", "featherweight_model.h", "main.c",
        "Makefile", "demo", "ship.md", "ship.json")


def check_folder(out: Path, more: Sequence[str] = (), *, force: bool) -> None:
    """Raise FeatherweightError if `out` is a file, holds foreign files, or holds an export and force is False.

    Only files of an export are ever replaced. more: names of this export's files beside OURS.
    """
    if out.exists() and not out.is_dir():
        raise FeatherweightError(f"{str(out)!r} is a file. Give a folder with {option('out')}.")
    found = names_in(out)
    if strangers := [name for name in found if not is_one_of(name, (*OURS, *more))]:
        raise FeatherweightError(f"folder {str(out)!r} holds {strangers[0]!r}, which is no part of an export. "
                                 f"Give another folder with {option('out')}.")
    if found and not force:
        raise FeatherweightError(f"{str(out)!r} holds an export: {option('force')} replaces it, {option('out')} takes "
                                "another folder.")


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into the folder and remove the other files of an earlier export.

    All new files are first written completely under temporary names. card.json is moved last.
    """
    for name in names_in(out):
        if name not in OURS and name not in files:      # a partial file that a killed process left
            (out / name).unlink()
    with ExitStack() as moves:
        for name in sorted(files, key=lambda name: name != "card.json"):    # entered first, moved last
            moves.enter_context(replacing(out / name)).write(files[name])
        for name in names_in(out):
            if name in OURS and (name not in files or name == "card.json"):
                (out / name).unlink()
