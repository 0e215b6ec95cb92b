"""Try networks and settings on a validation split: a line of text is a network, a line of JSON is a result.

    python benchmarks/explore.py "c8 c12 p c16 c16 c16 g h" --seeds 1 2 --set training.epochs=8 optimizer.lr=0.2

Each seed holds out 5,000 of the 60,000 training images, and is measured on them after its last epoch. The test images
are never used. Settings are those of a recipe; START below lists the defaults. docs/experiments.md reports the
experiments made with this script.

A network is a row of words, as in `featherweight summary "words:c8 c12 p c16 g h"`; the words and the arguments dropout
and gain (--set model.arguments.dropout=0.05) are described in src/featherweight/models/words.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

import report
from featherweight.models.words import PREFIX
from featherweight.preparation import load_data
from featherweight.recipe import Recipe, apply_setting
from featherweight.trial import run_trial

START = [
    "name=explored", "data.validation=5000", "evaluation.curve=none", "optimizer.nesterov=true", "optimizer.lr=0.1",
    "schedule.name=one-cycle", "training.epochs=8", "augmentation.rotation=7", "augmentation.shift=0.05",
    "augmentation.scale=0.05",
]


def main() -> int:
    options = parse()
    torch.set_num_threads(options.threads)
    for seed in options.seeds:
        found = try_one(options, seed)
        with options.log.open("a") as log:
            log.write(json.dumps(found) + "\n")
        report.say(json.dumps(found))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="a row of words, or a name of the catalogue")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="as for featherweight train")
    parser.add_argument("--threads", type=report.positive, default=1)
    parser.add_argument("--data-dir", help="folder with mnist/*.gz")
    parser.add_argument("--log", type=Path, default=Path("explored.jsonl"), help="file to append results to")
    return parser.parse_args()


def try_one(options: argparse.Namespace, seed: int) -> dict[str, object]:
    """Train once without the test images. Return network, settings and validation scores for the log."""
    name = PREFIX + options.network if " " in options.network else options.network
    content: dict[str, object] = {"model": {"name": name}}
    for setting in [*START, f"training.seed={seed}", *options.set]:
        apply_setting(content, setting)
    recipe = Recipe.from_dict(content)
    trial = run_trial(recipe, load_data(recipe, options.data_dir), torch.device("cpu"))
    validation = {
        head: {"accuracy": round(score.accuracy, 5)} | ({} if score.loss is None else {"loss": round(score.loss, 5)})
        for head, score in trial.validation.items()
    }
    return {
        "network": options.network, "settings": options.set, "seed": seed, "parameters": trial.parameters,
        "validation": validation,
        "train_accuracy": {head: round(share, 5) for head, share in trial.records[-1].train_accuracy.items()},
        "seconds": round(trial.seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(report.run(main))
