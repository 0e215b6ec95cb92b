"""Files that somebody damaged, by accident or on purpose: the same answer, or one line that says what is wrong.

Each generator makes a good file once, takes the command's answer to it, and then asks the command about one changed
file after the other. Files of a run or a bundle carry hashes, so that another answer is a fault. A picture, a user's
own weights, a recipe or a network's file may say something else after a change: then any finite answer will do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from battery.good_files import (
    NETWORK,
    bundled,
    draw_seven,
    interrupted,
    known_mnist,
    of_arrays,
    trained,
    with_network,
    write_idx,
)
from battery.mutator import mutate
from battery.trial import Trial, Trials, wrong_end
from battery.warm import Done, Warm

TEXTS = (".toml", ".json", ".jsonl", ".py", ".ipynb")
TIMES = ("seconds", "weights", "seconds_a_seed", "wall_seconds")     # of result.json, different each time


@dataclass(frozen=True)
class Subject:
    """A folder with a good file in it, and a command that reads the file."""

    kind: str
    files: tuple[str, ...]                  # paths in the folder; one is changed at a time
    command: tuple[str, ...]                # runs in a copy of the folder
    hashed: bool = False                    # whether another answer is a fault
    answer: Callable[[Done, Path], Any] = field(default=lambda done, work: document(done.out))
    env: Mapping[str, str] = field(default_factory=dict)


def trials_of(subject: Subject, seed: int, folder: Path, good: Path, warm: Warm) -> Iterator[Trial]:
    """Change one file of a copy of the folder `good` and run the command, without end."""
    reference = answer_of(subject, folder, good, warm)
    number = 0
    while True:
        random = Random(f"{subject.kind} {seed} {number}")
        name = random.choice(subject.files)
        content, what = mutate(random, (good / name).read_bytes(), text=Path(name).suffix in TEXTS)
        made = f"seed {seed}, mutation {number} of {name}: {what}"
        end = asked(subject, folder, good, {name: content}, warm)
        yield Trial(subject.kind, made, *judged(subject, reference, end))
        number += 1


def answer_of(subject: Subject, folder: Path, good: Path, warm: Warm) -> Any:
    """The answer to the good folder, which must come without a fault."""
    done, found = asked(subject, folder, good, {}, warm)
    assert done.code == 0, done.err
    return found


def asked(subject: Subject, folder: Path, good: Path, changed: Mapping[str, bytes], warm: Warm) -> tuple[Done, Any]:
    """Run the command in a copy of the good folder with changed files; its end and its answer."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(good, work, copy_function=os.link)
    for name, content in changed.items():
        (work / name).unlink()      # it is a hard link
        (work / name).write_bytes(content)
    done = warm.run(*subject.command, cwd=work, env=subject.env)
    try:
        return done, subject.answer(done, work) if done.code == 0 else None
    except (ValueError, OSError) as fault:
        return done, fault


def judged(subject: Subject, reference: Any, end: tuple[Done, Any]) -> tuple[str, str]:
    """(outcome, fault) of a trial."""
    done, found = end
    if wrong := wrong_end(done):
        return "wrong end", wrong
    if done.code == 2:
        return "refused", ""
    if isinstance(found, Exception):
        return "no answer", f"exit code 0 and no well-formed answer: {found}"
    if found == reference:
        return "same answer", ""
    if not subject.hashed:
        return "another answer (no checksum)", ""
    return "another answer", f"another answer in silence: {str(found)[:200]}"


def document(text: str) -> Any:
    """The JSON document that a command printed; ValueError for none, and for NaN or infinity in it."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} in the answer")

    return json.loads(text, parse_constant=refuse)


# ---- pictures ----


def pictures(kind: str, endings: tuple[str, ...], seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Pictures that predict is asked about."""
    good = folder / "good"
    shutil.copytree(trained(warm), good)
    for ending in endings:
        draw_seven(good / f"picture{ending}")
    each = [trials_of(Subject(kind, (f"picture{ending}",), ("predict", "run", f"picture{ending}", "--json")),
                      seed, folder, good, warm) for ending in endings]
    while True:
        for trials in each:
            yield next(trials)


def of_a_class(kind: str, seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Pictures of a folder data set."""
    good, names = folder / "good", []
    for label in ("one", "two"):
        for place, ending in enumerate((".png", ".jpg", ".gif", ".webp", ".tif", ".bmp")):
            names.append(f"data/{label}/{place}{ending}")
            (good / names[-1]).parent.mkdir(parents=True, exist_ok=True)
            draw_seven(good / names[-1])
    command = ("data", "show", "folder:data", "--out", "grid.png", "--json")
    subject = Subject(kind, tuple(names), command, answer=partial(file_hash, "grid.png"),
                      env={"XDG_CACHE_HOME": str(folder / "cache")})
    yield from trials_of(subject, seed, folder, good, warm)


def cached_arrays(kind: str, seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """The decoded pictures that are kept in the cache as .npy: a damaged one is made again."""
    good = folder / "good"
    for label in ("one", "two"):
        (good / "data" / label).mkdir(parents=True)
        for place in range(3):
            draw_seven(good / "data" / label / f"{place}.png")
    for picture in good.rglob("*.png"):
        os.utime(picture, (1_000_000_000, 1_000_000_000))
    work = folder / "work"      # the cache knows pictures by their path
    env = {"XDG_CACHE_HOME": str(work / "cache")}
    command = ("data", "show", "folder:data", "--out", "grid.png", "--json")
    shutil.copytree(good, work, copy_function=os.link)
    assert warm.run(*command, cwd=work, env=env).code == 0
    shutil.copytree(work / "cache", good / "cache")
    arrays = tuple(str(file.relative_to(good)) for file in good.rglob("*.npy"))
    assert arrays
    subject = Subject(kind, arrays, command, True, partial(file_hash, "grid.png"), env)
    yield from trials_of(subject, seed, folder, good, warm)


def file_hash(name: str, done: Done, work: Path) -> str:
    """The hash of a file that the command wrote."""
    return hashlib.sha256((work / name).read_bytes()).hexdigest()


# ---- data ----


def idx(kind: str, ending: str, seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """The four files of MNIST's shape: packed ones have a checksum, plain ones are a user's own."""
    good = folder / "good"
    (good / "mnist").mkdir(parents=True)
    names = write_idx(good / "mnist", ending)
    command = ("data", "show", "mnist", "--data-dir", ".", "--out", "grid.png", "--json")
    subject = Subject(kind, names, command, bool(ending), partial(file_hash, "grid.png"))
    if ending and not known_mnist():        # no published file at hand: made ones are refused as they are
        subject = Subject(kind, names, ("data", "--json"))
    yield from trials_of(subject, seed, folder, good, warm)


# ---- weights ----


def weights_files(kind: str, ending: str, seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Weights of a user's own, without a hash."""
    import torch
    from safetensors.torch import load_file, save_file

    good = folder / "good"
    good.mkdir(parents=True)
    weights = load_file(trained(warm) / "run" / "model.safetensors")
    if ending == ".safetensors":
        save_file(weights, good / "own.safetensors")
    else:
        torch.save({"state_dict": weights, "epoch": 3}, good / "own.pth")
        torch.save(weights, good / "old.pth", _use_new_zipfile_serialization=False)
    each = [trials_of(Subject(kind, (file.name,), ("evaluate", "session7-model2", "--weights", file.name, "--data",
                                                   "digits", "--json"), answer=without_hash), seed, folder, good, warm)
            for file in sorted(good.iterdir())]
    while True:
        for trials in each:
            yield next(trials)


def without_hash(done: Done, work: Path) -> Any:
    """The printed document without the hash of the weights file."""
    return {key: value for key, value in document(done.out).items() if key != "sha256"}


def files_of_a_run(
    kind: str, names: tuple[str, ...], made: Callable[[Warm], Path], command: tuple[str, ...],
    seed: int, folder: Path, warm: Warm,
) -> Iterator[Trial]:
    """Files of a run folder or a bundle, which carry hashes."""
    env = {"XDG_STATE_HOME": str(folder / "state")} if made is with_network else {}
    if made is with_network:
        shutil.copytree(made(warm), folder / "trusted")
        assert warm.run(*command, "--trust", cwd=folder / "trusted", env=env).code == 0
    answer = (printed if "--json" not in command else resumed if "--resume" in command else plain)
    yield from trials_of(Subject(kind, names, command, True, answer, env), seed, folder, made(warm), warm)


def read_unchecked(
    kind: str, names: tuple[str, ...], made: Callable[[Warm], Path], command: tuple[str, ...],
    seed: int, folder: Path, warm: Warm,
) -> Iterator[Trial]:
    """Files of a run that a command reads while the run is still training, before there are hashes."""
    yield from trials_of(Subject(kind, names, command, answer=printed), seed, folder, made(warm), warm)


def plain(done: Done, work: Path) -> Any:
    """The printed document."""
    return document(done.out)


def printed(done: Done, work: Path) -> str:
    """The printed text."""
    return done.out


def resumed(done: Done, work: Path) -> Any:
    """What a training gave, with its weights and without its times."""
    from safetensors.numpy import load_file

    weights = load_file(work / "run" / "model.safetensors") if (work / "run" / "model.safetensors").exists() else {}
    hashes = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in weights.items()}
    return {key: value for key, value in document(done.out).items() if key not in TIMES}, hashes


# ---- texts ----


def recipes(kind: str, seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Recipes outside of a run, kept so short that a large number in them asks for no long training."""
    good = folder / "good"
    shutil.copytree(trained(warm), good)
    shutil.copy(good / "run" / "recipe.toml", good / "mine.toml")
    shutil.rmtree(good / "run")
    short = ("data.dataset=digits", "training.epochs=1", "data.size=28", "training.batch_size=128")
    settings = [part for setting in short for part in ("--set", setting)]
    command = ("train", "mine.toml", *settings, "--no-report", "--out", "run", "--json")
    yield from trials_of(Subject(kind, ("mine.toml",), command, answer=resumed), seed, folder, good, warm)


def networks(kind: str, ending: str, seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Files of a user's own network: they are programs, and may say anything else after a change."""
    good = folder / "good"
    good.mkdir(parents=True)
    cells = [{"cell_type": "code", "source": part.splitlines(keepends=True), "outputs": [], "metadata": {},
              "execution_count": 1} for part in ("%matplotlib inline\n!pip install torch\n", *NETWORK.split("\n\n\n"))]
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    (good / f"net{ending}").write_text(NETWORK if ending == ".py" else notebook)
    command = ("summary", f"net{ending}:Net", "--json")
    yield from trials_of(Subject(kind, (f"net{ending}",), command), seed, folder, good, warm)


def row(kind: str, generator: Callable[..., Iterator[Trial]], *arguments: Any) -> Trials:
    """A generator of the battery with its kind."""
    return partial(generator, kind, *arguments)


def name_of(trials: Any) -> str:
    """The kind of a row's trials."""
    return str(trials.args[0])


EVALUATE, PREDICT = ("evaluate", "run", "--json"), ("predict", "bundle", "seven.png", "--json")
RESUME = ("train", "run/recipe.toml", "--out", "run", "--resume", "--no-report", "--json")

ROWS: tuple[Trials, ...] = (
    row("mutated IDX", idx, ""),
    row("mutated IDX.gz", idx, ".gz"),
    row("mutated PNG", pictures, (".png",)),
    row("mutated JPEG", pictures, (".jpg",)),
    row("mutated GIF, BMP, TIFF, WebP", pictures, (".gif", ".bmp", ".tif", ".webp")),
    row("mutated pictures of a class", of_a_class),
    row("mutated NPY of the cache", cached_arrays),
    row("mutated safetensors, a user's", weights_files, ".safetensors"),
    row("mutated .pth", weights_files, ".pth"),
    row("mutated model.safetensors", files_of_a_run, ("run/model.safetensors",), trained, EVALUATE),
    row("mutated data.safetensors", files_of_a_run, ("run/data.safetensors",), of_arrays, EVALUATE),
    row("mutated checkpoint", files_of_a_run, ("run/checkpoint.safetensors",), interrupted, RESUME),
    row("mutated TOML", recipes),
    row("mutated TOML of a run", files_of_a_run, ("run/recipe.toml",), trained, EVALUATE),
    row("mutated JSON of a run", files_of_a_run, ("run/result.json", "run/environment.json"), trained, EVALUATE),
    row("mutated JSONL", files_of_a_run, ("run/history.jsonl",), trained, EVALUATE),
    row("mutated JSONL, drawn", read_unchecked, ("run/history.jsonl",), trained, ("curves", "run", "--width", "80")),
    row("mutated network.json", files_of_a_run, ("run/network/network.json", "run/network/net.py"), with_network,
        ("predict", "run", "seven.png", "--json")),
    row("mutated card.json", files_of_a_run, ("bundle/card.json",), bundled, PREDICT),
    row("mutated ONNX", files_of_a_run, ("bundle/model.onnx",), bundled, PREDICT),
    row("mutated .py", networks, ".py"),
    row("mutated .ipynb", networks, ".ipynb"),
)
