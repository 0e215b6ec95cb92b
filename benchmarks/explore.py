"""Try networks and settings on a validation split: a line of text is a network, a line of JSON is a result.

    python benchmarks/explore.py "c8 c12 p c16 c16 c16 g h" --seeds 1 2 --set training.epochs=8 optimizer.lr=0.2

Each seed holds out 5,000 of the 60,000 training images, and is measured on them after its last epoch. The test images
are never used. Settings are those of a recipe; START below lists the defaults. docs/experiments.md reports the
experiments made with this script.

A network is a row of words. N is a number of channels. Each convolution is followed by batch normalisation and ReLU.

- cN: 3x3 convolution. CN: the same with padding.
- sN: depthwise separable convolution (3x3 depthwise, then 1x1 to N channels). SN: the same with padding.
- eN: like sN, with batch normalisation and ReLU also after the depthwise part.
- kN: 1x1 convolution.
- nN: 1x1 convolution that reads each channel from another of the nine neighbouring places.
- tN: 3x3 convolution with padding and stride 2. FN: 5x5 convolution with padding and stride 2.
- xNtR: one padded separable convolution, applied R times and added to its input each time.
- wNtR: the same without padding and without the addition.
- p: max pooling by 2. zN: cut N pixels off each side.
- g: average over all places. q: root mean square over all places.
- h: 1x1 convolution to 10 classes, without batch normalisation and ReLU.

--set model.arguments.dropout=0.05 adds dropout after every ReLU.
--set model.arguments.gain=false removes the gain from every batch normalisation.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import report
from featherweight.errors import FeatherweightError
from featherweight.models.layers import GainlessNorm, RootMeanSquare
from featherweight.preparation import load_data
from featherweight.recipe import Recipe, apply_setting
from featherweight.trial import run_trial

START = [
    "name=explored", "data.validation=5000", "evaluation.curve=none", "optimizer.nesterov=true", "optimizer.lr=0.1",
    "schedule.name=one-cycle", "training.epochs=8", "augmentation.rotation=7", "augmentation.shift=0.05",
    "augmentation.scale=0.05",
]


class Explored(nn.Sequential):
    """The network that a row of words describes: (N, 1, 28, 28) -> (N, 10) logits."""

    def __init__(self, words: str, dropout: float = 0.0, gain: bool = True) -> None:
        channels, layers = 1, []
        for word in words.split():
            made, channels = stage(word, channels)
            if not gain:
                made = [GainlessNorm(one.num_features) if isinstance(one, nn.BatchNorm2d) else one for one in made]
            after_relu = [nn.Dropout(dropout)] if dropout and isinstance(made[-1], nn.ReLU) else []
            layers += made + after_relu
        super().__init__(*layers, nn.Flatten())


def stage(word: str, channels: int) -> tuple[list[nn.Module], int]:
    """Return the layers of one word, and their number of output channels."""
    match = re.fullmatch(r"([a-zA-Z])(\d*)(?:t(\d+))?", word)
    if not match:
        raise FeatherweightError(f"{word!r} is no stage of a network. See: python benchmarks/explore.py --help")
    kind, n, times = match[1], int(match[2] or 0), int(match[3] or 1)
    square = {"c": (3, 0, 1), "C": (3, 1, 1), "k": (1, 0, 1), "t": (3, 1, 2), "F": (5, 2, 2)}
    if kind in square:
        size, padding, stride = square[kind]
        return [nn.Conv2d(channels, n, size, stride, padding, bias=False), nn.BatchNorm2d(n), nn.ReLU()], n
    if kind in "sS":
        depthwise = nn.Conv2d(channels, channels, 3, padding=int(kind == "S"), groups=channels, bias=False)
        return [depthwise, nn.Conv2d(channels, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU()], n
    match kind:
        case "e":
            first, between = nn.Conv2d(channels, channels, 3, groups=channels, bias=False), nn.BatchNorm2d(channels)
            second = nn.Conv2d(channels, n, 1, bias=False)
            return [first, between, nn.ReLU(), second, nn.BatchNorm2d(n), nn.ReLU()], n
        case "n":
            return [Neighbours(), nn.Conv2d(channels, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU()], n
        case "x" | "w":
            return [Repeated(n, times, residual=kind == "x")], n
        case "p":
            return [nn.MaxPool2d(2)], channels
        case "z":
            return [nn.ZeroPad2d(-n)], channels
        case "g":
            return [nn.AdaptiveAvgPool2d(1)], channels
        case "q":
            return [RootMeanSquare()], channels
        case "h":
            return [nn.Conv2d(channels, 10, 1)], 10
    raise FeatherweightError(f"{word!r} is no stage of a network. See: python benchmarks/explore.py --help")


class Neighbours(nn.Module):
    """A 3x3 layer without parameters: channel i of each output place is one value of its 3x3 window.

    The value is channel i of the input at place ORDER[i % 9] of the window.
    """

    ORDER = (4, 1, 7, 3, 5, 0, 8, 2, 6)     # places in the 3x3 window, numbered row by row

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] - 2, x.shape[3] - 2
        places = [divmod(self.ORDER[channel % 9], 3) for channel in range(x.shape[1])]
        parts = [x[:, i : i + 1, row : row + height, left : left + width] for i, (row, left) in enumerate(places)]
        return torch.cat(parts, dim=1).contiguous(memory_format=torch.channels_last)


class Repeated(nn.Module):
    """One separable convolution applied several times, each time with its own batch normalisation."""

    def __init__(self, channels: int, times: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        padding = int(residual)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=padding, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels) for _ in range(times)])

    def forward(self, x: Tensor) -> Tensor:
        for norm in self.norms:
            changed = F.relu(norm(self.pointwise(self.depthwise(x))))
            x = x + changed if self.residual else changed
        return x


def main() -> int:
    options = parse()
    torch.set_num_threads(options.threads)
    for seed in options.seeds:
        try:
            found = try_one(options, seed)
        except FeatherweightError as fault:
            report.say(str(fault))
            return 2
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
    """Train one seed and measure it on validation. The test images are not used."""
    own = " " in options.network
    model = {"name": f"{__file__}:Explored", "arguments": {"words": options.network}}
    content: dict[str, object] = {"model": model if own else {"name": options.network}}
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
