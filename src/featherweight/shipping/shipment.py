"""Export of a finished run: make the files of one form, run the form and torch on the test images, write a folder.

Nothing is written before all files are made and compared with torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featherweight.data import Dataset
from featherweight.environment import processor_name
from featherweight.errors import FeatherweightError, UnknownName
from featherweight.examination import data_of
from featherweight.graph.fold import fold
from featherweight.graph.twin import kinds_of
from featherweight.independence import FEW
from featherweight.inference.trained import TrainedNetwork
from featherweight.locks import writing
from featherweight.runs import Run
from featherweight.shipping.bundle import bundle_files
from featherweight.shipping.c_files import NAME_IN_C, RESERVED, Names
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import write_int8
from featherweight.shipping.calibrate import Calibration, measure_ranges
from featherweight.shipping.consistency import check_form, check_torch
from featherweight.shipping.folder import check_folder, write_folder
from featherweight.shipping.forms import Form, c_form, microseconds, onnx_form, watch
from featherweight.shipping.onnx_export import check_installed, describe, to_onnx
from featherweight.shipping.pixels import plain_network
from featherweight.shipping.proof import Questions, compare, score
from featherweight.shipping.quantise import check_int8, quantise
from featherweight.shipping.ship_page import ship_page
from featherweight.shipping.verdict import judge
from featherweight.shipping.write_onnx import write_graph
from featherweight.tasks import build_task
from featherweight.wording import option

FORMATS = ("onnx", "onnx-int8", "c", "bundle")
NAMED = ("featherweight", "torch", "onnx", "onnxruntime")    # packages whose versions are recorded
CALIBRATED, SEED = 1000, 0      # number of training images for measuring the 8-bit grids
Say = Callable[[str], None]


def export(
    run: Run | str | Path, to: str, out: str | Path, *, int8: bool = False, name: str = "",
    data_dir: str | Path | None = None, force: bool = False, say: Say = lambda message: None,
) -> dict[str, Any]:
    """Export a finished run into a folder, compare it with torch on every test image, and return the document.

    The document is the content of ship.json. Its key "verdict" tells if the export can be trusted.
    - to: one of FORMATS. int8: export C that computes in integers.
    - name: of the C files, and the start of the names of functions and constants. "": the names of c_files.Names.
    - force: replace an earlier export in `out`.
    - say: called with a message when a part of the work begins.
    Raises RunError for an unfinished run. Raises FeatherweightError if `out` is in use. Raises ModelError if the
    network cannot be exported. Raises MissingExtra, DataError and ExportError.
    """
    check_format(to, int8)
    names = names_of(name, to)
    out = Path(out)
    check_folder(out, names.files, force=force)     # before `writing` puts a lock file into somebody else's folder
    network = TrainedNetwork.open(run)
    if to != "c" or int8:       # C in float is written and proved without onnx
        check_installed()
    with writing(out):
        check_folder(out, names.files, force=force)
        document, files = make_files(network, to, names, int8=int8, data_dir=data_dir, say=say)
        write_folder(out, files)
    return document


def make_files(
    network: TrainedNetwork, to: str, names: Names, *, int8: bool, data_dir: str | Path | None, say: Say
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Make an export in memory and compare it with torch; return the content of ship.json and all files by name."""
    dataset = data_of(network.run, data_dir=data_dir)
    questions = questions_of(network, dataset)
    check_torch(network, questions.some(FEW))
    if network.run.recipe.data.upright and to == "c":      # only C makes slanted ink upright itself
        leaning = data_of(network.run, data_dir=data_dir, upright=False)
        questions = replace(questions, leaning=leaning.test.images.numpy())
    with ExitStack() as stack:
        say(f"{network.card.recipe}: making {to}{' in int8' if int8 else ''}")
        calibration = calibration_of(network, dataset) if int8 or to == "onnx-int8" else None
        forms = make_forms(network, to, names, calibration, stack)
        say(f"running torch, {' and '.join(form.name for form in forms)} on {len(questions.images):,} test images")
        measured = prove(network, forms, questions, say)
    document = describe_export(network, to, forms, measured, questions)
    files = {**forms[-1].files, "ship.json": (json.dumps(document, indent=2, allow_nan=False) + "\n").encode(),
             "ship.md": ship_page(document, network.card).encode()}
    return document, files


def check_format(to: str, int8: bool) -> None:
    """Raise UnknownName for an unknown format. Raise FeatherweightError if int8 is given for a format other than C."""
    if to not in FORMATS:
        raise UnknownName("format", to, FORMATS)
    if int8 and to != "c":
        raise FeatherweightError(f"{option('int8')} goes with {option('to', 'c')}, not with {option('to', to)}. "
                                f"For ONNX give {option('to', 'onnx-int8')}.")


def names_of(name: str, to: str) -> Names:
    """Return the names in a C export. Raise FeatherweightError for another format, or a name that C cannot take."""
    if not name:
        return Names()
    if to != "c":
        raise FeatherweightError(f"{option('name', name)} goes with {option('to', 'c')}, not with {option('to', to)}.")
    if not NAME_IN_C.fullmatch(name) or name in RESERVED:
        raise FeatherweightError(f"{option('name', name)} is no name for C. Give small letters, digits and _, with a "
                                 "letter first, such as digits.")
    return Names(name, name)


def questions_of(network: TrainedNetwork, dataset: Dataset) -> Questions:
    """Return each test image once with its targets; if the network adds a number, with the numbers 0..9 in turn."""
    task = build_task(network.run.recipe.task)
    question = task.fixed_batch(dataset.test.labels)
    numbers = question.inputs[0].argmax(dim=1).numpy() if network.card.takes_number else None
    targets = {head: target.numpy() for head, target in zip(task.heads, question.targets, strict=True)}
    return Questions(dataset.test.images.numpy(), numbers, targets)


def calibration_of(network: TrainedNetwork, dataset: Dataset) -> Calibration:
    """Return CALIBRATED random training images, drawn with SEED; if the network adds a number, with random numbers."""
    generator = np.random.default_rng(SEED)
    places = generator.choice(len(dataset.train), min(CALIBRATED, len(dataset.train)), replace=False)
    numbers = generator.integers(0, 10, len(places)) if network.card.takes_number else None
    return Calibration(dataset.train.images.numpy()[places], numbers)


def make_forms(
    network: TrainedNetwork, to: str, names: Names, calibration: Calibration | None, stack: ExitStack
) -> list[Form]:
    """Return the exported form as the last item, after the forms from which it is made.

    Example: for C in int8 the forms are onnx in float, onnx-int8 and c-int8. All are compared with torch.
    """
    card = network.card
    if to in ("onnx", "bundle"):
        form = onnx_form(card, to_onnx(network.module, card), exact=True)
        form.files = bundle_files(network, form.files["model.onnx"]) if to == "bundle" else form.files
        return [form]
    graph = fold(plain_network(network.module, card))
    if calibration is None:
        return [c_form(card, write_float(graph), names, stack, exact=True)]
    check_int8(graph, kinds_of(network.module))
    quantised = quantise(graph, measure_ranges(graph, calibration.images, calibration.numbers))
    forms = [onnx_form(card, write_graph(graph, metadata=describe(card)), exact=True),
             onnx_form(card, write_graph(graph, quantised=quantised, metadata=describe(card)), exact=False)]
    return [*forms, c_form(card, write_int8(quantised), names, stack, exact=False)] if to == "c" else forms


def prove(network: TrainedNetwork, forms: Sequence[Form], questions: Questions, say: Say) -> dict[str, dict[str, Any]]:
    """Run torch and all forms on the test images; return accuracy, time, and differences from torch by form."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)        # the forms run on one thread too
    try:
        expected = questions.ask(network.probabilities)
        heads = {head: score(expected[head], target) for head, target in questions.targets.items()}
        found = {"torch": {"heads": heads, "microseconds": microseconds(network.probabilities, questions)}}
        for form in forms:
            if form.probabilities and form.timed:
                asked = questions.as_given() if form.stands_upright else questions
                compared = compare(asked.ask(form.probabilities, progress(form.name, asked, say)), expected, questions)
                found[form.name] = {"heads": compared, "microseconds": form.timed(asked)}
                check_form(form, asked.some(FEW))
            if form.probabilities and form.facts.get("compiler"):
                form.facts["sanitizers"] = watch(form, network.card, asked)
    finally:
        torch.set_num_threads(threads)
    return found


def progress(name: str, questions: Questions, say: Say) -> Callable[[int], None]:
    """Return a function that reports the number of images done, at most once every ten seconds."""
    told = time.monotonic()

    def tick(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{name}: {done:,} of {len(questions.images):,} images")

    return tick


def versions() -> dict[str, str]:
    """Return the versions of the packages in NAMED that are installed."""
    return {name: version(name) for name in NAMED if find_spec(name)}


def describe_export(
    network: TrainedNetwork, to: str, forms: Sequence[Form], measured: Mapping[str, Any], questions: Questions
) -> dict[str, Any]:
    """Return the content of ship.json."""
    card, form = network.card, forms[-1]
    drawn = f"{min(CALIBRATED, network.run.result['train_images']):,} training images, drawn with seed {SEED}"
    return {
        "format": to, "form": form.name, "recipe": card.recipe, "model": card.model, "parameters": card.parameters,
        "dataset": card.dataset, "precision": network.run.result["precision"], "test_images": len(questions.images),
        "questions": "each test image once" + (", with the numbers 0..9 in turn" if card.takes_number else ""),
        "verdict": judge(forms, measured),
        "files": {name: len(content) for name, content in form.files.items()},
        **form.facts, **({} if form.exact else {"calibration": drawn}), "measured": dict(measured),
        "machine": {"processor": processor_name(), "threads": 1, "versions": versions()},
    }
