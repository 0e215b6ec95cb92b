"""The story of an export: a finished run -> files of one form -> the same questions to it and to torch -> a folder.

Nothing is written before everything is made and proved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featherweight.data import Dataset, load_dataset
from featherweight.environment import processor_name
from featherweight.errors import FeatherweightError, UnknownName
from featherweight.files import is_one_of, names_in, write_atomically
from featherweight.inference.trained import TrainedNetwork
from featherweight.runs import Run
from featherweight.shipping.bundle import bundle_files
from featherweight.shipping.forms import Calibration, Form, c_form, int8_form, microseconds, onnx_form, watch
from featherweight.shipping.proof import Questions, compare, score
from featherweight.shipping.ship_page import ship_page
from featherweight.shipping.trace import check_installed
from featherweight.shipping.verdict import judge
from featherweight.tasks import build_task

FORMATS = ("onnx", "onnx-int8", "c", "bundle")
OURS = ("model.onnx", "layers.onnx", "card.json", "card.md", "featherweight_model.c", "featherweight_model.h", "main.c",
        "Makefile", "demo", "ship.md", "ship.json")
CALIBRATED, SEED = 1000, 0      # training images that the 8-bit grids are measured on
Say = Callable[[str], None]


def export(
    run: Run | str | Path, to: str, out: str | Path, *, int8: bool = False, data_dir: str | Path | None = None,
    force: bool = False, say: Say = lambda message: None,
) -> dict[str, Any]:
    """Export a finished run into a folder and prove it on every test image; gives the content of ship.json.

    to: one of FORMATS; int8: C in integers. say is told what is under way. The verdict is document["verdict"].
    Raises RunError for an unfinished run, FeatherweightError where out is in use (unless force replaces an export),
    ModelError for a network that cannot be exported, MissingExtra, DataError, ExportError.
    """
    check_format(to, int8)
    out = Path(out)
    check_folder(out, force=force)
    network = TrainedNetwork.open(run)
    check_installed()
    data = network.run.recipe.data
    dataset = load_dataset(data.dataset, channels=data.channels, size=data.size, data_dir=data_dir)
    questions = questions_of(network, dataset)
    with ExitStack() as stack:
        say(f"{network.card.recipe}: making {to}{' in int8' if int8 else ''}")
        form = make_form(network, to, stack, calibration_of(network, dataset) if int8 or "int8" in to else None)
        say(f"asking torch and {form.name} about {len(questions.images):,} test images")
        rows = prove(network, form, questions)
    document = describe_export(network, to, form, rows, questions)
    files = {**form.files, "ship.json": (json.dumps(document, indent=2, allow_nan=False) + "\n").encode(),
             "ship.md": ship_page(document, network.card).encode()}
    write_folder(out, files)
    return document


def check_format(to: str, int8: bool) -> None:
    """UnknownName for another format; FeatherweightError where int8 says nothing."""
    if to not in FORMATS:
        raise UnknownName("format", to, FORMATS)
    if int8 and to != "c":
        raise FeatherweightError(f"--int8 goes with --to c, not with --to {to}. For ONNX give --to onnx-int8.")


def check_folder(out: Path, *, force: bool) -> None:
    """FeatherweightError, before any work, for a folder that is in use. Only files of an export are ever replaced."""
    if out.exists() and not out.is_dir():
        raise FeatherweightError(f"{str(out)!r} is a file. Give a folder with --out.")
    found = names_in(out)
    if strangers := [name for name in found if not is_one_of(name, OURS)]:
        raise FeatherweightError(f"folder {str(out)!r} holds {strangers[0]!r}, which is no part of an export. "
                                 "Give another --out.")
    if found and not force:
        raise FeatherweightError(f"{str(out)!r} holds an export: --force replaces it, --out takes another folder.")


def questions_of(network: TrainedNetwork, dataset: Dataset) -> Questions:
    """Each test image once; where a number is added, the numbers 0..9 in turn."""
    task = build_task(network.run.recipe.task)
    question = task.ask_each(dataset.test.labels)
    numbers = question.inputs[0].argmax(dim=1).numpy() if network.card.takes_number else None
    targets = {head: target.numpy() for head, target in zip(task.heads, question.targets, strict=True)}
    return Questions(dataset.test.images.numpy(), numbers, targets)


def calibration_of(network: TrainedNetwork, dataset: Dataset) -> Calibration:
    """Training images, drawn by a seed; where a number is added, one for each."""
    generator = np.random.default_rng(SEED)
    places = generator.choice(len(dataset.train), min(CALIBRATED, len(dataset.train)), replace=False)
    numbers = generator.integers(0, 10, len(places)) if network.card.takes_number else None
    return Calibration(dataset.train.images.numpy()[places], numbers, SEED)


def make_form(network: TrainedNetwork, to: str, stack: ExitStack, calibration: Calibration | None) -> Form:
    """The form that a format names."""
    if to == "c":
        return c_form(network, stack, calibration)
    if calibration is not None:
        return int8_form(network, calibration)
    form = onnx_form(network)
    if to == "bundle":
        form.files = bundle_files(network, form.files["model.onnx"])
    return form


def prove(network: TrainedNetwork, form: Form, questions: Questions) -> dict[str, dict[str, Any]]:
    """torch and the form side by side: accuracy, time, and where they differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)        # as the others run
    try:
        expected = questions.ask(network.answer)
        heads = {head: score(expected[head], target) for head, target in questions.targets.items()}
        rows: dict[str, dict[str, Any]] = {
            "torch": {"heads": heads, "microseconds": microseconds(network.answer, questions)}}
        if form.answer and form.timed:
            answers = questions.ask(form.answer)
            rows[form.name] = {"heads": compare(answers, expected, questions), "microseconds": form.timed(questions)}
            if form.name.startswith("c"):
                watch(form, network, questions)
    finally:
        torch.set_num_threads(threads)
    return rows


def describe_export(
    network: TrainedNetwork, to: str, form: Form, rows: Mapping[str, Mapping[str, Any]], questions: Questions
) -> dict[str, Any]:
    """ship.json."""
    card = network.card
    return {
        "format": to, "form": form.name, "recipe": card.recipe, "model": card.model, "parameters": card.parameters,
        "dataset": card.dataset, "test_images": len(questions.images),
        "questions": "each test image once" + (", with the numbers 0..9 in turn" if card.takes_number else ""),
        "verdict": judge(form, rows),
        "files": {name: len(content) for name, content in form.files.items()},
        **form.facts, "measured": dict(rows),
        "machine": {"processor": processor_name(), "threads": 1},
    }


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Replace what an earlier export left, the card last: with it a folder is a bundle."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names_in(out):
        if is_one_of(name, OURS) and (name not in files or name == "card.json"):
            (out / name).unlink()
    for name in sorted(files, key=lambda name: name == "card.json"):
        write_atomically(out / name, files[name])
