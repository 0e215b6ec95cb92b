"""The folder of a front: front.json, front.html, and a folder 1, 2, ... for each network, from small to large.

- 1/network.py: the network as one readable file
- 1/recipe.toml: the recipe that trained it
- 1/seeds.json: costs, and the accuracy of each seed
- 1/c/: the exported C code of the first seed, with its proof
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from featherweight.data import Dataset
from featherweight.documents import parse_json
from featherweight.errors import FeatherweightError, RunError
from featherweight.files import plain_file, remove_folder, sha256_of, sync_folder, write_atomically
from featherweight.interruption import undone_at_the_end
from featherweight.outside import shortened
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.search.front_page import Shown, front_page
from featherweight.search.network_file import FILE
from featherweight.search.point_files import Found
from featherweight.search.records import Front, Point
from featherweight.shipping import export
from featherweight.wording import option

JSON, PAGE, RECIPE, SEEDS, CODE = "front.json", "front.html", "recipe.toml", "seeds.json", "c"
GENERATOR = '<meta name="generator" content="featherweight '      # in every page that this package writes
Say = Callable[[str], None]


def write_front(
    folder: str | Path, front: Front, recipe: Recipe, dataset: Dataset, *, data_dir: str | Path | None = None,
    say: Say = lambda message: None, code: bool = True,
) -> list[str]:
    """Write front.json, front.html and a folder for each network into the folder of a search. Return notes.

    recipe: the base that the settings of each candidate change; its network and name are replaced.
    say: called with a message when a network's folder is begun.
    code: also export C code with its proof, which takes seconds for each network.
    A second call replaces what the first wrote, and skips the networks that did not change. The caller holds the lock
    of the folder. Each note says which C code could not be exported, and why.
    Raises FeatherweightError if a file of these names was not written by a search, or was changed since.
    """
    folder = Path(folder)
    check_front(folder, len(front.points))
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    points = sorted(front.points, key=lambda point: (point.costs.parameters, point.number))
    networks = [Found(number, point, front, recipe, tuple(dataset.train.shape), len(dataset.classes),
                      finished_runs(folder, point) if code else []) for number, point in enumerate(points, start=1)]
    notes = []
    for found in networks:
        say(f"writing network {found.number} of {len(networks)}: {found.point.candidate.words}")
        notes += write_network(folder, found, data_dir, say)
    for number in numbered(folder)[len(points) :]:
        remove_folder(folder / str(number))
    shown = [Shown(found, exported(folder / str(found.number))) for found in networks]
    write_atomically(folder / PAGE, front_page(front, shown, len(dataset.test)).encode())
    write_atomically(folder / JSON, (json.dumps(front.to_dict(), indent=2, allow_nan=False) + "\n").encode())
    return notes


def check_front(folder: Path, points: int = 0) -> None:
    """Raise FeatherweightError if writing a front of `points` networks would replace a file of somebody else's.

    A search calls it before it begins. Nothing is changed.
    """
    for file, own in ((folder / JSON, is_front), (folder / PAGE, is_page)):
        if file.exists() and not own(file):
            raise FeatherweightError(f"{str(file)!r} was not written by a search and is not replaced. Move it, or give "
                                     f"another folder with {option('out')}.")
    for number in sorted({*numbered(folder), *range(1, points + 1)}):
        if stranger := changed_in(folder / str(number)):
            raise FeatherweightError(f"{str(stranger)!r} was not written by this search, or was changed after it, and "
                                     f"is not replaced. Move it, or give another folder with {option('out')}.")


def numbered(folder: Path) -> list[int]:
    """Return the numbers of the networks that an earlier front left in the folder: 1, 2, ... without a gap."""
    number = 0
    while (folder / str(number + 1) / SEEDS).is_file():
        number += 1
    return list(range(1, number + 1))


def sweep(folder: Path) -> None:
    """Remove the temporary folders of networks that a killed process left, such as ".3.0f1e2d3c"."""
    for place in folder.iterdir():
        if re.fullmatch(r"\.\d+\.[0-9a-f]{8}(\.old)?", place.name) and place.is_dir() and not place.is_symlink():
            remove_folder(place)


def finished_runs(folder: Path, point: Point) -> list[Run]:
    """Return the finished runs of a network. Runs that are missing or damaged are left out."""
    found = []
    for name in point.runs:
        try:
            run = Run.open(folder / name)
            if run.finished and run.result and run.history:
                found.append(run)
        except RunError:
            continue
    return found


def write_network(folder: Path, found: Found, data_dir: str | Path | None, say: Say) -> list[str]:
    """Write the folder of one network, or leave it if nothing changed. Return notes on a missing export."""
    place, texts = folder / str(found.number), {FILE: found.network, RECIPE: found.recipe_text()}
    seeds = found.seeds()
    if is_current(place, texts, seeds) and (exported(place) or not found.runs):
        return []
    new = folder / f".{found.number}.{token_hex(4)}"
    with undone_at_the_end(lambda: remove_folder(new)):
        try:
            new.mkdir()
            for name, text in texts.items():
                write_atomically(new / name, text.encode())
            notes = add_code(new, place if is_current(place, {}, seeds) else None, found, data_dir, say)
            files = {name: sha256_of(new / name) for name in files_in(new)}
            write_atomically(new / SEEDS, (json.dumps({**seeds, "files": files}, indent=2) + "\n").encode())
            replace_folder(place, new)
        finally:
            remove_folder(new)
    return notes


def add_code(new: Path, before: Path | None, found: Found, data_dir: str | Path | None, say: Say) -> list[str]:
    """Export the network of the first seed as C, with its proof. Return a note if that is not possible.

    before: an earlier folder of the same runs, whose C code is taken over.
    The first seed, not the best: a seed chosen by its accuracy on test would look better than the network is.
    """
    if before and exported(before):
        shutil.copytree(before / CODE, new / CODE)
    elif found.runs:
        try:
            export(found.runs[0], "c", new / CODE, int8=found.front.form == "int8", data_dir=data_dir, say=say)
        except FeatherweightError as fault:
            return [f"network {found.number} has no C code: {shortened(fault, 400)}"]
    return []


def replace_folder(place: Path, new: Path) -> None:
    """Move the folder `new` to `place`. A folder that is there is moved aside first, then removed."""
    old = new.with_name(f"{new.name}.old")
    if place.exists():
        place.rename(old)
    new.rename(place)
    sync_folder(place.parent)
    remove_folder(old)


def is_current(place: Path, texts: Mapping[str, str], seeds: Mapping[str, Any]) -> bool:
    """Return True if the folder holds these texts and this seeds.json."""
    written = read_object(place / SEEDS)
    return {**written, "files": None} == {**json.loads(json.dumps(seeds)), "files": None} and all(
        (place / name).is_file() and (place / name).read_bytes() == text.encode() for name, text in texts.items()
    )


def changed_in(place: Path) -> Path | None:
    """Return a file in a network's folder that the search did not write, or that was changed or removed since."""
    if not place.exists() and not place.is_symlink():
        return None
    if place.is_symlink() or not place.is_dir():
        return place
    written = read_object(place / SEEDS).get("files")
    if not isinstance(written, dict):
        return next((place / name for name in files_in(place)), place)
    names = [name for name in files_in(place) if name != SEEDS]
    return next((place / name for name in sorted({*names, *written}) if not (place / name).is_file()
                 or sha256_of(place / name) != written.get(name)), None)


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, sorted. Files that Python and `make` made there are left out."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*")
                  if not file.is_dir() and file.suffix != ".pyc" and file.relative_to(folder).as_posix() != "c/demo")


def exported(place: Path) -> dict[str, Any]:
    """Return the content of ship.json of a network's C code, {} without C code."""
    return read_object(place / CODE / "ship.json")


def read_object(file: Path) -> dict[str, Any]:
    """Return a JSON object from a file, {} if the file is missing or holds something else."""
    try:
        content = parse_json(plain_file(file).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_front(file: Path) -> bool:
    """Return True if the file is the front.json of a search."""
    try:
        Front.from_dict(read_object(file))
    except (TypeError, KeyError, AttributeError):
        return False
    return True


def is_page(file: Path) -> bool:
    """Return True if the file is a page that this package wrote."""
    try:
        return GENERATOR in plain_file(file).read_text(encoding="utf-8")[:1000]
    except (OSError, ValueError):
        return False
