"""Measure the kernels of training on the CPU: compiled layers beside the peak of a core, and torch's narrow kernels.

--parts layers (layers.py): each stage of compiled training on one thread, the whole step, and the time to compile.

--parts narrow (narrow.py): a training step of torch with and without featherweight.training.kernels.NarrowKernels.
"""

from __future__ import annotations

import argparse
import sys

import layers
import narrow
import torch

import report
from featherweight.devices import keep_freed_memory, pick_precision
from featherweight.models import CATALOGUE
from featherweight.recipe import recipe_names

PARTS = {"layers": layers, "narrow": narrow}


def main() -> int:
    options = parse()
    keep_freed_memory()
    settings = {key: value for key, value in vars(options).items() if key != "out"}
    content = report.begin("kernels", settings)
    content |= {"native_bf16": pick_precision("auto", torch.device("cpu")) == "bf16", "results": {}, "ratios": {}}
    for part in options.parts:
        for model in options.models:
            for precision in options.precisions:
                PARTS[part].measure(content, model, precision, options)
                report.save(options.out, content)
    report.save(options.out, content | {"complete": True})
    for part in options.parts:
        PARTS[part].print_results(content)
    if not content["native_bf16"]:
        print("this processor or this torch does not compute bf16 natively: auto precision is float32 here")
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "kernels")
    networks = [name for name in recipe_names() if name in CATALOGUE and name != "digit-sum"]
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", nargs="+", choices=networks, default=["session7-model2", "session6", "feather-8k"])
    parser.add_argument("--precisions", nargs="+", choices=("float32", "bf16"), default=["float32", "bf16"])
    parser.add_argument("--batch-size", type=report.positive, default=128)
    parser.add_argument("--warm-up", type=report.positive, default=10, help="untimed steps of each variant")
    parser.add_argument("--rounds", type=report.positive, default=200, help="layers: timed steps")
    parser.add_argument("--compilations", type=int, default=3, help="layers: compilations of each network; 0: none")
    parser.add_argument("--blocks", type=report.positive, default=6, help="narrow: blocks of each variant")
    parser.add_argument("--steps", type=report.positive, default=10, help="narrow: steps in a block")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(report.run(main))
