"""Hostile names and extreme numbers: in class folders, recipes, paths, records with right hashes, and weights."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image

from battery.trial import Trial, Trials, wrong_end
from battery.warm import Done, Warm
from featherweight.runs import Run

PIECES = (
    "\x1b[31m", "\x1b]0;owned\x07", "\x07", "\x00", "\n", "\r", "\t", "\x7f", "\x9b2J", "\u202e", "\u2066", "\u200f",
    "\u200b", "\u2028", "\ufeff", "\ud800", "\ufffe", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "</title>", "&amp;", "&#x1b;", "]]>", "-->", '"', "'", "`", "|", "[a](http://b)", "![a](b)", "*", "__", "$x^2$",
    "$\\frac{", "$", "%s",
    "{}", "{{ 7*7 }}", "{% raw", "*/", "/*", "??/", "\\", "[red]", "[/]", ":smile:", "#0072b2", ' id="x"', "..", "-rf",
    "x" * 101,
    "مرحبا", "שלום", "你好", "ไทย", "😀", "👩\u200d🔬", "é", "a", "B", "7", " ",
)
FOLDER_PIECES = tuple(piece for piece in PIECES if "\x00" not in piece and "/" not in piece)
PLACES = ("recipe", "model", "dataset", "classes", "device", "notes", "train", "start", "kept", "goal", "head",
          "seconds")
KINDS = ("curves", "confusion", "mistakes", "by-class", "calibration", "kernels", "activations", "cam",
         "receptive-field", "graph")
TYPES: tuple[Any, ...] = (None, 7, -1, 1.5, 10**18, 1e300, "", "7", [], {}, [[]], {"class": 1}, True, [None], "NaN")
NUMBERS = (math.nan, math.inf, -math.inf, 1e38, -3.4e38, 1e30, 1e-45, 1e-38, 0.0, -1.0)
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
RECIPE = """name = "names"
[data]
dataset = "digits"
validation = 60
[model]
name = "tiny.py:Tiny"
[training]
epochs = 1
batch_size = 64
precision = "float32"
"""
TINY = """from torch import nn


class Tiny(nn.Sequential):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(nn.Conv2d(in_channels, 4, 3, stride=3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.Conv2d(4, 4, 3, stride=3), nn.Flatten(), nn.Linear(36, classes))
"""


def hostile_record_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """A run whose record holds hostile names or values, with hashes that fit, is looked at by one command."""
    chance, base = random.Random(seed), a_run(folder, warm)
    for number in _count():
        where = chance.choice(("names", "types", "history"))
        run = Path(shutil.copytree(base, folder / f"record{number}"))
        what = spoil_history(run, chance) if where == "history" else spoil_result(run, chance, types=where == "types")
        yield asked(f"hostile {where}", f"seed {seed}, trial {number}: {what}", run, chance, warm)
        shutil.rmtree(run)


def hostile_weights_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """A run whose weights hold extreme numbers, with hashes that fit, is looked at by one command."""
    chance, base = random.Random(seed), a_run(folder, warm)
    for number in _count():
        run = Path(shutil.copytree(base, folder / f"weights{number}"))
        what = spoil_weights(run, chance)
        yield asked("extreme weights", f"seed {seed}, trial {number}: {what}", run, chance, warm)
        shutil.rmtree(run)


def hostile_name_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Folders, paths, recipes and options with hostile names are given to one command."""
    chance, base = random.Random(seed), a_run(folder, warm)
    makers = (class_folders, run_folder, recipe_file, an_option)
    for number in _count():
        scene = folder / f"names{number}"
        scene.mkdir()
        make = chance.choice(makers)
        what, arguments, pages = make(scene, base, chance)
        done = warm.run(*arguments, cwd=scene)
        yield Trial(f"hostile names: {make.__name__.replace('_', ' ')}", f"seed {seed}, trial {number}: {what}",
                    outcome(done), fault_of(done) or wrong_files(pages))
        shutil.rmtree(scene)


ROWS: tuple[Trials, ...] = (hostile_name_trials, hostile_record_trials, hostile_weights_trials)


def a_run(folder: Path, warm: Warm) -> Path:
    """A finished run of a second on the bundled digits."""
    (folder / "tiny.py").write_text(TINY)
    (folder / "names.toml").write_text(RECIPE)
    done = warm.run("train", "names.toml", "--out", "base", "--no-report", cwd=folder)
    assert done.code == 0, done.err
    drawing(folder / "picture.png")
    return folder / "base"


def a_name(chance: random.Random, pieces: tuple[str, ...] = PIECES) -> str:
    """One to four pieces."""
    return "".join(chance.choice(pieces) for _ in range(chance.randint(1, 4)))


# ---- what is spoiled ----


def spoil_result(run: Path, chance: random.Random, *, types: bool) -> str:
    """Change one key of result.json to hostile text, or to another type; both hashes are made to fit."""
    opened = Run(run)
    result, (tensors, _) = json.loads((run / "result.json").read_text()), opened.load_tensors("model.safetensors")
    if types:
        key, value = chance.choice(list(result)), chance.choice(TYPES)
        if isinstance(result[key], dict) and chance.random() < 0.5:
            inner = chance.choice([*result[key], "class"])
            result[key][inner] = value
            key = f"{key}.{inner}"
        else:
            result[key] = value
    else:
        key, name = chance.choice(PLACES), a_name(chance)
        value = put_name(result, key, name)
    resave(opened, result, tensors)
    return f"result.json: {key} = {value!r}"


def put_name(result: dict[str, Any], key: str, name: str) -> Any:
    """Put a name where the record has one."""
    score = {"accuracy": 0.5, "correct": 1, "count": 2}
    values: dict[str, Any] = {
        "classes": [name, *result["classes"][1:]], "notes": [name], "start": {"run": name, "sha256": name},
        "train": {"accuracy": {**result["train"]["accuracy"], name: 0.5}, "loss": 1.0}, "seconds": name,
        "kept": {"epoch": 1, "of": 1, "by": name}, "goal": {"met": False, "missed": [name]},
    }
    if key == "head":
        result["test"][name] = score
    else:
        result[key] = values.get(key, name)
    return name


def spoil_history(run: Path, chance: random.Random) -> str:
    """Change one value of history.jsonl, or its syntax."""
    line = json.loads((run / "history.jsonl").read_text().splitlines()[0])
    key = chance.choice([*line, "curve_on", "epoch"])
    line[key] = chance.choice((*TYPES, a_name(chance), math.nan, math.inf, 1e308, 1e-310))
    text = json.dumps(line)
    if chance.random() < 0.1:
        text = chance.choice(("", "[" * 50_000, "NaN", text + "\n" + text, text[:-3]))
    (run / "history.jsonl").write_text(text)
    return f"history.jsonl: {text[:300]!r}"


def spoil_weights(run: Path, chance: random.Random) -> str:
    """Put an extreme number into one weight, a tensor or all, or scale them."""
    opened = Run(run)
    result, (tensors, _) = json.loads((run / "result.json").read_text()), opened.load_tensors("model.safetensors")
    floats = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    picked = floats if chance.random() < 0.3 else [chance.choice(floats)]
    how, value = chance.choice(("one", "all", "scale")), chance.choice(NUMBERS)
    for name in picked:
        flat = tensors[name].view(-1)
        if how == "one":
            flat[chance.randrange(len(flat))] = value
        else:
            flat.copy_(torch.full_like(flat, value) if how == "all" else flat * value)
    resave(opened, result, tensors)
    return f"{how} of {', '.join(picked)}: {value}"


def resave(run: Run, result: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Write record and weights with hashes that fit, as somebody who means harm would."""
    result.pop("weights", None)
    model = result.get("model")
    fits = isinstance(model, str) and model.isprintable()       # the file of the weights holds it, as UTF-8
    run.save_result({**result, "model": model if fits else ""}, tensors)
    if not fits:
        edited = {**json.loads((run.path / "result.json").read_text()), "model": model}
        (run.path / "result.json").write_text(json.dumps(edited))


# ---- what is given to a command ----


Scene = tuple[str, list[str], list[Path]]     # in words, arguments, the files that it may write


def class_folders(scene: Path, base: Path, chance: random.Random) -> Scene:
    """Pictures in folders with hostile names: trained on, or drawn."""
    names = []
    for number in range(2):
        name = (a_name(chance, FOLDER_PIECES) or "a") + str(number)
        place = scene / "pictures" / name[:200]
        try:
            place.mkdir(parents=True)
        except (OSError, UnicodeError):      # no name of a folder here
            place = scene / "pictures" / f"plain{number}"
            place.mkdir(parents=True)
        for picture in range(6):
            drawing(place / f"{picture}.png", chance.randrange(256))
        names.append(place.name)
    shutil.copy(base.parent / "tiny.py", scene / "tiny.py")
    recipe = RECIPE.replace("validation = 60", "validation = 0").replace("batch_size = 64", "batch_size = 4")
    (scene / "r.toml").write_text(recipe)
    train = ["train", "r.toml", "--data", "folder:pictures", "--out", "run"]
    arguments = chance.choice((train, ["data", "show", "folder:pictures"]))
    return f"class folders {names!r}", arguments, [scene / "run" / "report.html"]


def run_folder(scene: Path, base: Path, chance: random.Random) -> Scene:
    """A run under a hostile path."""
    name = a_name(chance, FOLDER_PIECES)[:60].strip(" ")
    try:
        run = Path(shutil.copytree(base, scene / (name if name not in ("", ".", "..") else "run")))
    except (OSError, UnicodeError):
        run = Path(shutil.copytree(base, scene / "run"))
    arguments, page = a_command(run, chance)
    return f"run folder {run.name!r}: {arguments[0]}", arguments, [page]


def recipe_file(scene: Path, base: Path, chance: random.Random) -> Scene:
    """A recipe with a hostile name, network, data set or text."""
    key, name = chance.choice(("name", "model", "dataset", "target", "key", "value")), a_name(chance)
    shutil.copy(base.parent / "tiny.py", scene / "tiny.py")
    quoted = json.dumps(name.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    changed = {
        "name": RECIPE.replace('"names"', quoted), "model": RECIPE.replace('"tiny.py:Tiny"', quoted),
        "dataset": RECIPE.replace('"digits"', quoted),
        "target": RECIPE + f"[goal]\ntarget = {quoted}\naccuracy = 0.5\n",
        "key": RECIPE + f"{quoted} = 1\n",
        "value": RECIPE.replace("epochs = 1", f"epochs = {quoted}"),
    }[key]
    (scene / "r.toml").write_text(changed)
    return f"recipe: {key} = {name!r}", ["train", "r.toml", "--out", "run"], [scene / "run" / "report.html"]


def an_option(scene: Path, base: Path, chance: random.Random) -> Scene:
    """A hostile word where a command takes one."""
    word = a_name(chance).replace("\x00", "").encode("utf-8", "replace").decode() or "a"
    arguments = chance.choice((
        ["summary", word], ["train", word], ["train", str(base / "recipe.toml"), "--set", f"{word}=1"],
        ["evaluate", word], ["data", "get", word], ["data", "show", f"folder:{word}"], [word], ["--" + word],
        ["plot", word, str(base), "--out", "a.svg"], ["predict", str(base), word],
        ["export", str(base), "--to", word, "--out", "out"], ["compare", str(base), word],
        ["report", str(base), "--out", word], ["train", str(base / "recipe.toml"), "--out", word],
        ["byhand", "--rate", word], ["plot", "kernels", str(base), "--head", word, "--out", f"{word}.svg"],
        ["evaluate", str(base), "--device", word], ["serve", word],
    ))
    return f"{arguments!r}", arguments, []


def asked(kind: str, what: str, run: Path, chance: random.Random, warm: Warm) -> Trial:
    """One command on a spoiled run."""
    arguments, page = a_command(run, chance)
    done = warm.run(*arguments, "--trust", cwd=run.parent) if arguments[0] not in ("compare", "curves") else \
        warm.run(*arguments, cwd=run.parent)
    fault = fault_of(done) or (wrong_files([page]) if done.code == 0 else "")
    return Trial(kind, f"{what}: {' '.join(arguments[:2])}", outcome(done), fault)


def a_command(run: Path, chance: random.Random) -> tuple[list[str], Path]:
    """A command that looks at a run, and the file or folder that it writes."""
    page, kind = run / "out.html", chance.choice(KINDS)
    commands: tuple[tuple[list[str], Path], ...] = (
        (["report", str(run), "--out", str(page)], page),
        (["plot", kind, str(run), "--out", str(run / "plot.svg")], run / "plot.svg"),
        (["predict", str(run), str(run.parent / "picture.png")], page),
        (["predict", str(run), str(run.parent / "picture.png"), "--json"], page),
        (["evaluate", str(run), "--json"], page), (["evaluate", str(run)], page),
        (["compare", str(run), str(run)], page), (["compare", str(run), "--json"], page), (["curves", str(run)], page),
        (["export", str(run), "--to", chance.choice(("onnx", "c")), "--out", str(run.parent / f"{run.name}-shipped")],
         run.parent / f"{run.name}-shipped" / "ship.md"),
    )
    weights = (6, 10, 2, 2, 1, 2, 2, 1, 2, 1)       # an export takes seconds
    return chance.choices(commands, weights)[0]


def drawing(file: Path, ground: int = 255) -> None:
    """A picture of a line."""
    pixels = np.full((28, 28), ground, np.uint8)
    pixels[5:23, 13:16] = 0 if ground > 100 else 255
    Image.fromarray(pixels).save(file)


# ---- what came of it ----


def outcome(done: Done) -> str:
    """Refused or answered."""
    return {0: "answered", 2: "refused"}.get(done.code or 0, f"exit {done.code}")


def fault_of(done: Done) -> str:
    """A wrong end, or a character that reached the terminal; of times only a hang counts."""
    if found := RAW.search(done.out + done.err):
        return f"raw {found[0]!a} on the terminal"
    if done.code == 1 and "do not use this export" in done.err:
        return ""
    head = [line for line in done.err.splitlines() if not line.startswith("  ")]     # the faults of a recipe follow it
    return wrong_end(replace(done, err="\n".join(head), seconds=0 if done.code is not None else done.seconds))


def wrong_files(files: list[Path]) -> str:
    """What is wrong with a page, a picture or a text that was written."""
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text()
        if RAW.search(text):
            return f"raw {RAW.search(text)[0]!a} in {file.name}"      # type: ignore[index]
        if fault := CHECKS[file.suffix](text):
            return f"{file.name}: {fault}"
    return ""


def wrong_html(text: str) -> str:
    """An element that the report never has, or a picture in it that is no XML."""
    page = _Elements()
    page.feed(text)
    if page.strange:
        return f"holds {page.strange[0]}"
    return next((fault for svg in re.findall(r"<svg.*?</svg>", text, re.S) if (fault := wrong_xml(svg))), "")


def wrong_xml(text: str) -> str:
    """Text that is no well-formed XML."""
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError as fault:
        return str(fault)
    return ""


def wrong_markdown(text: str) -> str:
    """Raw HTML, a link or a picture."""
    found = re.search(r"<\w|(?<!\\)\]\(|(?<!\\)!\[", text)
    return f"holds {text[found.start() : found.start() + 30]!r}" if found else ""


class _Elements(HTMLParser):
    """Looks for elements and attributes that execute something."""

    def __init__(self) -> None:
        super().__init__()
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "img") or any(name.startswith("on") for name, _ in attrs):
            self.strange.append(tag)


CHECKS: dict[str, Callable[[str], str]] = {".html": wrong_html, ".svg": wrong_xml, ".md": wrong_markdown}


def _count() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1
