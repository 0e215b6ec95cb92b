"""The part "layers" of kernels.py: each stage of compiled training beside the arithmetic peak of the core.

One thread trains the recipe of the network's name on digits. A round measures a forward and a backward pass stage by
stage, then a whole training step, its augmentation, and its optimizer (rounds.py). A stage begins with the
normalisation, ReLU, dropout and pooling of the stage before it: these are computed where their result is read.

GFLOP/s: of the fastest round; a multiply-add counts as two operations. A backward pass computes the gradients of the
weights, and those of the input unless the input is the images. The peak is measured before and after the rounds.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median
from typing import Any

import torch
from compiling import compile_anew
from peak import measure_peak
from rounds import PARTS, Round, measure_rounds

import report
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe
from featherweight.training.compiled.stages import Conv, Plan, Stage

COLUMNS = ["stage", "forward us", "GF/s", "peak", "backward us", "GF/s", "peak"]


def measure(content: dict[str, Any], model: str, precision: str, options: argparse.Namespace) -> None:
    """Measure one network, and add the results to `content`."""
    settings = [f"training.precision={precision}", f"training.batch_size={options.batch_size}",
                "training.engine=compiled", "data.dataset=digits", "data.upright=false"]
    recipe = Recipe.load(model, settings)
    training = build_training(recipe, load_data(recipe, None), torch.device("cpu"))
    program = training.engine.program
    if program is None:
        report.say(f"{model} is not compiled: {training.engine.why}")
        sys.exit(2)
    before = measure_peak()
    rounds = measure_rounds(
        training, program, batch_size=options.batch_size, warm_up=options.warm_up, count=options.rounds)
    peak = {kind: max(speed, before[kind]) for kind, speed in measure_peak().items()}
    stages = [describe(program.plan, index, precision, options.batch_size, peak, rounds)
              for index in range(len(program.plan.stages)) if rounds[0][f"forward {index}"]]
    found = {
        "peak_gflops": peak, "stages": stages,
        "us": {part: summary(rounds, part) for part in (*PARTS, "rest", "step")},
        "compilation": compile_anew(model, precision, options.compilations),
    }
    content.setdefault("layers", {}).setdefault(model, {})[precision] = found
    report.say(f"{model} {precision}: {found['us']['step']['median'] / 1000:.2f} ms a step of compiled training")


def describe(
    plan: Plan, index: int, precision: str, images: int, peak: dict[str, float], rounds: list[Round]
) -> dict[str, Any]:
    """Return shape, kernel, times and speeds of one stage. Speeds only of convolutions."""
    stage, found = plan.stages[index], {}
    dots = precision == "bf16" and isinstance(stage.made, Conv) and stage.made.groups == 1     # groups: float32
    reachable = (dots and peak["bf16"]) or peak["float32"]
    for name, count in operations(plan, stage).items():
        found[name] = {"us": summary(rounds, f"{name} {index}")}
        if count:
            speed = 1e-3 * images * count / found[name]["us"]["best"]
            found[name] |= {"gflops": round(speed, 1), "of_peak": round(speed / reachable, 3)}
    return {"stage": index, "shape": list(stage.shape), "kernel": kernel_of(stage)} | found


def operations(plan: Plan, stage: Stage) -> dict[str, int]:
    """Return the operations of both passes of a convolution, per image. They are 0 for other stages."""
    if not isinstance(stage.made, Conv):
        return {"forward": 0, "backward": 0}
    channels, height, width = stage.shape
    source, (rows, columns) = stage.sources[0], stage.made.kernel
    inputs = plan.stages[source].view[0] // stage.made.groups
    forward = 2 * channels * height * width * rows * columns * inputs
    return {"forward": forward, "backward": forward * (2 if plan.needs_gradient(source) else 1)}


def kernel_of(stage: Stage) -> str:
    """Return the kind of a stage, e.g. "3x3", "3x3 g16" with 16 groups, or "join"."""
    if not isinstance(stage.made, Conv):
        return type(stage.made).__name__.lower()
    groups = f" g{stage.made.groups}" if stage.made.groups > 1 else ""
    return "x".join(map(str, stage.made.kernel)) + groups


def summary(rounds: list[Round], name: str) -> dict[str, float]:
    """Return the lowest and the median microseconds of a stage or a part."""
    values = [one[name] for one in rounds]
    return {"best": round(min(values), 1), "median": round(median(values), 1)}


def print_results(content: dict[str, Any]) -> None:
    networks = {f"{model} {precision}": found
                for model, both in content["layers"].items() for precision, found in both.items()}
    for name, found in networks.items():
        title = f"{name} · us: best/median · peak of a core: {found['peak_gflops']['float32']:.0f} GFLOP/s"
        dots = found["peak_gflops"]["bf16"] if name.endswith("bf16") else 0
        title += f", bf16 {dots:.0f}" if dots else ""
        report.print_table(title, COLUMNS, [row_of(one) for one in found["stages"]])
    rows = [[name, *(f"{found['us'][part]['median'] / 1000:.2f}" for part in (*PARTS, "rest", "step"))]
            for name, found in networks.items()]
    batch = content["settings"]["batch_size"]
    report.print_table(f"A training step of {batch} images on one thread, medians in ms",
                       ["network", "augment", "forward", "back", "update", "rest", "step"], rows)
    rows = [[name, *(f"{one['median']:.2f}" for one in found["compilation"].values())]
            for name, found in networks.items() if found["compilation"]]
    if rows:
        report.print_table("First call of a network, medians in seconds",
                           ["network", "to record it", "compiled", "from the cache"], rows)


def row_of(stage: dict[str, Any]) -> list[str]:
    row = [f"{'x'.join(map(str, stage['shape']))} {stage['kernel']}"]
    for name in ("forward", "backward"):
        found = stage[name]
        row.append(f"{found['us']['best']:.0f}/{found['us']['median']:.0f}")
        row += [f"{found['gflops']:.0f}", f"{found['of_peak']:.0%}"] if "gflops" in found else ["-", "-"]
    return row
