"""Measure size, time and accuracy of runs exported as ONNX, int8 and C, and the time to a bundle's first prediction.

Each form and torch predict all test images of the run's data. The time to the first prediction is that of a new process
`featherweight predict BUNDLE PICTURE`, with the files in the page cache. Its peer is the same command with the run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

import report
from featherweight.data import load_dataset
from featherweight.errors import FeatherweightError
from featherweight.runs import Run
from featherweight.shipping import export, make_bundle

AIM_SECONDS = 0.7       # longest time to a bundle's first prediction
AIM_POINTS = 0.10       # largest loss of accuracy by int8, in percentage points
EXPORTS = {"bundle": ("bundle", False), "c": ("c", False), "c-int8": ("c", True)}     # the last measures int8 ONNX too
PREDICT = [sys.executable, "-m", "featherweight", "predict"]


def main() -> int:
    options = parse()
    settings = {"runs": [folder.name for folder in options.runs], "repeats": options.repeats}
    content = report.begin("shipping", settings, "onnx", "onnxruntime", "onnxscript")
    content |= {"aim_seconds": AIM_SECONDS, "aim_points": AIM_POINTS, "results": {}, "first_answer": {}, "ratios": {}}
    try:
        for folder in options.runs:
            content["results"][folder.name] = ship(Run.open(folder), options.data_dir)
            report.save(options.out, content)
        content |= time_first_answer(Run.open(options.runs[0]), options.data_dir, options.repeats)
    except FeatherweightError as fault:
        report.say(f"shipping.py: {fault}")
        return 2
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "shipping")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="finished run folders")
    parser.add_argument("--data-dir", type=Path, default=None, help="a folder that holds NAME/*.gz")
    parser.add_argument("--repeats", type=report.positive, default=10, help="measurements of the first prediction")
    return parser.parse_args()


def ship(run: Run, data_dir: Path | None) -> dict[str, Any]:
    """Return for each form of one run: accuracy, differences from torch, bytes, microseconds per image."""
    forms: dict[str, Any] = {}
    for name, (to, int8) in EXPORTS.items():
        report.say(f"{run.path.name}: {name}")
        with tempfile.TemporaryDirectory() as folder:
            document = export(run, to, Path(folder) / "out", int8=int8, data_dir=data_dir)
        for form, found in document["measured"].items():
            forms.setdefault(form, {}).update(found)
        shipped = forms[document["form"]]
        shipped["bytes"] = document["files"].get("model.onnx") or document["files"]["featherweight_model.c"]
        shipped |= {key: document[key] for key in ("ram", "flash", "compiler") if key in document}
        shipped["verdict"] = document["verdict"]
    return {"model": run.result["model"], "parameters": run.result["parameters"], "forms": forms}


def time_first_answer(run: Run, data_dir: Path | None, repeats: int) -> dict[str, Any]:
    """Return the seconds of `featherweight predict` from start to exit, for the bundle and the run in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder, picture = Path(name) / "bundle", Path(name) / "picture.png"
        make_bundle(run, folder)
        data = run.recipe.data
        dataset = load_dataset(data.dataset, channels=data.channels, size=data.size, data_dir=data_dir)
        Image.fromarray(dataset.test.images[0, 0].numpy()).resize((280, 280)).save(picture)
        number = ["--number", "3"] if run.recipe.task == "digit-sum" else []
        seconds: dict[str, list[float]] = {"bundle": [], "run": []}
        for turn in range(repeats + 1):     # the first turn fills the page cache and is not counted
            for source, path in (("bundle", folder), ("run", run.path)):
                started = time.perf_counter()
                subprocess.run([*PREDICT, path, picture, *number], capture_output=True, check=True)
                if turn:
                    seconds[source].append(time.perf_counter() - started)
    return {
        "first_answer": {source: {"seconds": report.spread(found)} for source, found in seconds.items()},
        "ratios": {"run / bundle": report.spread(report.ratios(seconds["bundle"], seconds["run"]), 3)},
    }


def print_results(content: dict[str, Any]) -> None:
    rows = []
    for run, found in content["results"].items():
        for form, one in found["forms"].items():
            heads = one["heads"].values()
            differing = sum(len(head["disagreements"]) for head in heads) if form != "torch" else None
            sizes = [f"{one[key]:,}" if key in one else "-" for key in ("bytes", "ram", "flash")]
            rows.append([f"{run} {form}", " / ".join(f"{100 * head['accuracy']:.2f}" for head in heads),
                         "-" if differing is None else str(differing), *sizes, f"{one['microseconds']:,.0f}"])
    columns = ["run and form", "test, %", "other class", "bytes", "RAM", "flash", "µs an image"]
    report.print_table(f"Shipping · {content['machine']['processor']}", columns, rows)
    answers = [[source, report.show(one["seconds"], 2), f"< {AIM_SECONDS:g}" if source == "bundle" else "-"]
               for source, one in content["first_answer"].items()]
    report.print_table("First answer of a new process", ["source", "seconds", "aim"], answers)


if __name__ == "__main__":
    sys.exit(report.run(main))
