"""Measure the seconds to 99.40 % accuracy on MNIST's test images: our recipe and the documents' training loop.

- Ours is the recipe feather-fast, with a fresh process per seed. The time is that of the call of `train`, including
  loading cached data and measuring the test images once. The accuracy is that measurement.
- The usual loop trains session6 like the documents: PIL transforms per image, two workers, float32, SGD at 0.01. The
  loop measures the test images after each epoch and stops at 99.40 % or after 20 epochs. This favours the usual loop,
  because our recipe never chooses its last epoch.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from per_image import Compose, Normalize, PictureDataset, ToTensor
from torch.utils.data import DataLoader

import report
from featherweight import build_model, load_dataset, train
from featherweight.errors import FeatherweightError
from featherweight.recipe import Recipe

TARGET, AIM_SECONDS, AIM_RATIO = 0.9940, 8, 25


def main() -> int:
    options = parse()
    if options.child:
        return child(options)
    settings = {key: value for key, value in vars(options).items() if key not in ("out", "child")}
    content = report.begin("time_to_accuracy", settings) | {"target": TARGET, "results": {}, "ratios": {}}
    ours: list[dict[str, Any]] = []
    for seed in range(1, options.seeds + 1):
        ours.append(measure(options, "ours", seed))
        content["results"]["feather-fast"] = summarise(ours)
        report.save(options.out, content)
        report.say(f"seed {seed}: {ours[-1]['seconds']:.1f} s, test {ours[-1]['accuracy']:.2%}")
    if options.epochs:
        usual = measure(options, "usual", 1)
        content["results"]["usual loop, session6"] = usual
        seconds = usual["seconds"]
        content["ratios"]["usual / feather-fast"] = report.spread([seconds / one["seconds"] for one in ours], 2)
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "time_to_accuracy")
    parser.add_argument("--seeds", type=report.positive, default=10, help="seeds of feather-fast")
    parser.add_argument("--epochs", type=int, default=20, help="most epochs of the usual loop; 0: none")
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data-dir", type=lambda text: str(Path(text).resolve()), help="folder with mnist/*.gz")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(options: argparse.Namespace, who: str, seed: int) -> dict[str, Any]:
    """Run one training in a child process and return its result. Its standard error is passed through."""
    command = [sys.executable, __file__, "--child", who, str(seed), "--data", options.data]
    command += ["--epochs", str(options.epochs), *(["--data-dir", options.data_dir] if options.data_dir else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    if done.returncode:
        report.say(f"{who} ended with exit code {done.returncode}; {options.out} holds what came before")
        sys.exit(done.returncode if done.returncode > 0 else 1)
    return json.loads(done.stdout.splitlines()[-1])


def child(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    who, seed = options.child[0], int(options.child[1])
    try:
        print(json.dumps(train_ours(options, seed) if who == "ours" else train_usual(options, seed)))
    except FeatherweightError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def train_ours(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    recipe = Recipe.load("feather-fast", [f"training.seed={seed}", f"data.dataset={options.data}"])
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = train(recipe, Path(folder) / "run", data_dir=options.data_dir)
        seconds = time.perf_counter() - started
        result = run.result     # read before the folder is removed
    return {"seed": seed, "seconds": seconds, "accuracy": result["test"]["class"]["accuracy"],
            "engine": result["engine"], "threads": torch.get_num_threads()}


def train_usual(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train session6 with the documents' loop until the target or the last epoch. The time includes loading data."""
    from jobs import Job
    from peers import Usual

    torch.manual_seed(seed)
    job = Job("usual", "session6", options.data, options.data_dir, 60_000, 128, seed)
    started = time.perf_counter()
    dataset = load_dataset(options.data, data_dir=options.data_dir)
    peer, curve = Usual(job, build_model("session6")), []
    for epoch in range(1, options.epochs + 1):
        peer.epoch(dataset.train)
        curve.append(right_share(peer.model, dataset))
        report.say(f"usual loop, epoch {epoch}: {time.perf_counter() - started:.0f} s, test {curve[-1]:.2%}")
        if curve[-1] >= TARGET:
            break
    return {"seconds": time.perf_counter() - started, "epochs": len(curve), "accuracy": curve[-1], "curve": curve,
            "reached": curve[-1] >= TARGET}


@torch.no_grad()
def right_share(model: torch.nn.Module, dataset: Any) -> float:
    transform = Compose([ToTensor(), Normalize(dataset.mean, dataset.std)])
    model.eval()
    pictures = PictureDataset(dataset.test.images, dataset.test.labels, transform)
    batches = DataLoader(pictures, batch_size=1000, num_workers=2)
    return sum(int((model(images).argmax(dim=1) == labels).sum()) for images, labels in batches) / len(pictures)


def summarise(ours: list[dict[str, Any]]) -> dict[str, Any]:
    accuracies = [one["accuracy"] for one in ours]
    return {
        "seconds": report.spread([one["seconds"] for one in ours], 2), "mean_accuracy": fmean(accuracies),
        "accuracy": report.spread(accuracies, 4), "engine": ours[0]["engine"],
        "threads": ours[0]["threads"],
    }


def print_results(content: dict[str, Any]) -> None:
    ours, usual = content["results"]["feather-fast"], content["results"].get("usual loop, session6")
    rows = [["feather-fast", report.show(ours["seconds"], 1), f"{ours['mean_accuracy']:.2%}", f"<= {AIM_SECONDS} s"]]
    if usual:
        rows.append(["usual loop, session6", f"{usual['seconds']:.0f}, {usual['epochs']} epochs",
                     f"{usual['accuracy']:.2%}", "-"])
        ratio = report.show(content["ratios"]["usual / feather-fast"], 1)
        rows.append(["ratio", f"{ratio}{'' if usual['reached'] else ', at least'}", "-", f">= {AIM_RATIO}"])
    report.print_table(f"Time to {TARGET:.2%} on test", ["who", "seconds", "test", "aim"], rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
