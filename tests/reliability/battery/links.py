"""Links, pipes, devices and folders where a file is expected: nothing outside is ever changed, and nothing waits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from battery.disk import MADE, RECIPE, home_in
from battery.trial import Trial, wrong_end
from battery.warm import Warm

FILES = ("recipe.toml", "history.jsonl", "result.json", "model.safetensors", "checkpoint.safetensors",
         "checkpoint.json", "environment.json", "report.html")
WRITERS = {     # what is replaced -> the command that does it
    "run": ("train", *RECIPE, "--out", "run", "--no-report", "--force"),
    "onnx": ("export", "run", "--to", "onnx", "--out", "onnx", "--force"),
    "seeds": ("train", *RECIPE, "--out", "seeds", "--seeds", "2", "--no-report", "--force"),
    "run/report.html": ("report", "run"),
    "page.html": ("report", "run", "--out", "page.html", "--force"),
    "book.xlsx": ("byhand", "--out", "book.xlsx", "--updates", "2", "--force"),
    "rates.png": ("byhand", "--plot", "rates.png", "--updates", "2", "--force"),
    "curves.svg": ("plot", "curves", "run", "--out", "curves.svg", "--force"),
    "strip.png": ("predict", "run", "kernels.png", "--show", "strip.png", "--force"),
    "grid.png": ("data", "show", "digits", "--out", "grid.png", "--force"),
}
READERS = (     # what is read, and the command that does it
    *((f"run/{name}", command) for name in FILES for command in (
        ("evaluate", "run"), ("report", "run"), ("predict", "run", "kernels.png"), ("curves", "run"),
        ("train", "run/recipe.toml", "--out", "run", "--resume", "--no-report"), ("compare", "run", "run"),
        ("train", "--from", "run", "--set", "training.epochs=1", "--no-report", "--out", "next"))),
    ("recipe.toml", ("train", "recipe.toml", "--out", "new", "--no-report")),
    ("kernels.png", ("predict", "run", "kernels.png")),
    ("weights.safetensors", ("evaluate", "feather-1k", "--weights", "weights.safetensors", "--data", "digits")),
    ("weights.pth", ("evaluate", "feather-1k", "--weights", "weights.pth", "--data", "digits")),
    ("net.py", ("summary", "net.py:Net")),
    ("net.ipynb", ("summary", "net.ipynb:Net")),
    ("onnx/model.onnx", ("predict", "bundle", "kernels.png")),
    *((f"bundle/{name}", ("predict", "bundle", "kernels.png")) for name in ("card.json", "model.onnx")),
    ("pictures/train/black/0.png", ("data", "show", "folder:pictures", "--out", "new.png")),
    ("idx/mnist/train-images-idx3-ubyte.gz", ("data", "get", "mnist", "--data-dir", "idx")),
    ("idx/mnist/train-images-idx3-ubyte", ("train", "feather-1k", "--data-dir", "idx", "--out", "new")),
    ("home/state/featherweight/trusted-networks.txt", ("summary", "net.py:Net")),
)


def put_pipe(place: Path, outside: Path) -> None:
    """A pipe into which nobody writes."""
    os.mkfifo(place)


def put_folder(place: Path, outside: Path) -> None:
    """A folder with a file in it."""
    place.mkdir()
    (place / "inside.txt").write_text("keep")


def put_endless(place: Path, outside: Path) -> None:
    """A link to a device without end."""
    place.symlink_to("/dev/zero")


def put_loop(place: Path, outside: Path) -> None:
    """A link to itself."""
    place.symlink_to(place.name)


def put_dangling(place: Path, outside: Path) -> None:
    """A link to what does not exist."""
    place.symlink_to(outside / "not-there")


def put_link(place: Path, outside: Path) -> None:
    """A link to a file elsewhere."""
    place.symlink_to(outside / "precious.txt")


def put_hard_link(place: Path, outside: Path) -> None:
    """A second name of a file elsewhere."""
    os.link(outside / "precious.txt", place)


def put_folder_link(place: Path, outside: Path) -> None:
    """A link to a folder elsewhere."""
    place.symlink_to(outside / "folder")


Put = Callable[[Path, Path], None]
INSTEAD: tuple[Put, ...] = (
    put_pipe, put_folder, put_endless, put_loop, put_dangling, put_link, put_hard_link, put_folder_link,
)


def build(folder: Path, warm: Warm, *, exports: bool = True) -> Path:
    """A folder with everything that the commands replace or read."""
    before = folder / "before"
    before.mkdir(parents=True)
    for name in ("run", "kernels.png", "strip.png", "book.xlsx", "grid.png", *(["onnx", "bundle"] * exports)):
        done = warm.run(*MADE[name], cwd=before, env=home_in(before), timeout=120)
        assert done.code == 0, done.err
    shutil.copy(before / "run" / "recipe.toml", before / "recipe.toml")
    shutil.copy(before / "run" / "model.safetensors", before / "weights.safetensors")
    for split in ("train", "test"):
        for kind in ("black", "white"):
            (before / "pictures" / split / kind).mkdir(parents=True)
            for number in range(2):
                shutil.copy(before / "strip.png", before / "pictures" / split / kind / f"{number}.png")
    (before / "net.py").write_text("from featherweight.models.session6 import *\n")
    for name in ("home", "tmp"):
        shutil.rmtree(before / name)
    return before


def outside_of(folder: Path, before: Path) -> Path:
    """Make what must not be touched: a text, and a folder that looks like a run of ours."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("keep")
    shutil.copytree(before / "run", outside / "folder")
    (outside / "folder" / "notes.txt").write_text("keep")
    return outside


def state_of(folder: Path) -> dict[str, bytes | str]:
    """Path -> content of all that lies below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def replaced(seed: int, folder: Path, warm: Warm, *, exports: bool = True) -> Iterator[Trial]:
    """Something else where a command is to write: a file of a run or an export, or the target itself."""
    random = Random(seed)
    before = build(folder, warm, exports=exports)
    cases = [       # all of network/ is the run's own
        (command, place, put)
        for target, command in WRITERS.items() if exports or target not in ("onnx", "seeds")
        for place in places_of(target) for put in INSTEAD
        if (place, put) not in (("run/network", put_folder), ("run/network/net.py", put_folder))
    ]
    while True:
        random.shuffle(cases)
        for case in cases:
            yield attempt(folder, warm, before, case, "written")


def places_of(target: str) -> list[str]:
    """The target, and files inside of it if it is a folder."""
    inside = {"run": [*FILES, "network", "network/net.py"], "onnx": ["model.onnx", "ship.json"],
              "seeds": ["seed-1", "seed-2/recipe.toml", "summary.json"]}
    return [target, *(f"{target}/{name}" for name in inside.get(target, []))]


def read(seed: int, folder: Path, warm: Warm, *, exports: bool = True) -> Iterator[Trial]:
    """Something else where a command reads."""
    random = Random(seed)
    before = build(folder, warm, exports=exports)
    cases = [(command, place, put) for place, command in READERS
             if exports or not place.startswith(("onnx", "bundle")) for put in INSTEAD]
    while True:
        random.shuffle(cases)
        for case in cases:
            yield attempt(folder, warm, before, case, "read")


def attempt(folder: Path, warm: Warm, before: Path, case: tuple[tuple[str, ...], str, Put], kind: str) -> Trial:
    """Put something in the place of a file, run the command, and look at what lies outside."""
    command, place, put = case
    trial = folder / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    shutil.copytree(before, trial / "here", symlinks=True)
    outside, here = outside_of(trial, before), trial / "here" / place
    if here.is_dir():
        shutil.rmtree(here)
    here.parent.mkdir(parents=True, exist_ok=True)
    here.unlink(missing_ok=True)
    put(here, outside)
    untouched = state_of(outside)
    done = warm.run(*command, cwd=trial / "here", env=home_in(trial / "here"))
    if kind == "written":       # trainings and exports take their time
        done = replace(done, seconds=0.0, cpu=0.0)
    fault = wrong_end(done)
    if not fault and state_of(outside) != untouched:
        changed = set(state_of(outside).items()) ^ set(untouched.items())
        fault = f"changed outside: {sorted({name for name, _ in changed})}"
    if not fault and put is put_folder and not (here / "inside.txt").exists():
        fault = "removed a folder that is not ours"
    left = [name for name in state_of(trial / "here") if Path(name).name.startswith(".") and ".lock" not in name]
    fault = fault or (f"left {left}" if left else "")
    name, outcome = put.__name__.removeprefix("put_"), "refused" if done.code == 2 else kind
    fault = f"{fault} | {done.err[-300:]}" if fault else ""
    return Trial(f"{name} {kind}", f"{' '.join(command)}: {name} as {place}", outcome, fault)


ROWS = (replaced, read)
