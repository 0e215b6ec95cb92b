"""The command new: write a recipe and a network file to start from."""

from __future__ import annotations

import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.options import Json
from featherweight.cli.output import show_json
from featherweight.outside import LONGEST_NAME, say

NETWORK = '''"""A small network for images of digits. See its layers: featherweight summary {name}.py"""

from torch import nn


class Net(nn.Module):
    """(N, in_channels, 28, 28) images -> (N, classes) logits. The data set gives in_channels and classes."""

    def __init__(self, in_channels=1, classes=10, width=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, bias=False),       # 26x26, BatchNorm has the bias
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, bias=False),       # 12x12
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, bias=False),   # 5x5
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)     # the mean of each channel: images of other sizes work too
        self.head = nn.Linear(2 * width, classes)

    def forward(self, images):
        return self.head(self.pool(self.features(images)).flatten(1))
'''

RECIPE = '''# One experiment. Train it:       featherweight train {name}.toml
# Change values for one training:  featherweight train {name}.toml --epochs 5 --lr 0.01
# A finished run's recipe.toml lists all keys with their defaults.

name = "{name}"                 # also in the name of the run folder: runs/{name}-seed1

[goal]                          # checked after training
target = "At least 90 % on the digits with fewer than 10,000 parameters."
accuracy = 0.9                  # lowest accuracy on test images, as a fraction
max_parameters = 9999

[data]
dataset = "digits"              # 1,797 small digits, no download. Others: featherweight data
validation = 0                  # training images held out, e.g. 5000 of mnist

[model]
name = "{name}.py:Net"          # FILE:Class, beside this recipe
arguments = {{ width = 8 }}       # arguments of Net

[augmentation]                  # largest random change of a training image
rotation = 7                    # degrees to either side
shift = 0.05                    # fraction of the image's size

[optimizer]
name = "muon"                   # sgd, adam, adamw or muon
lr = 0.02
nesterov = true

[schedule]
name = "one-cycle"              # constant, step, plateau, one-cycle or cosine

[training]
epochs = 15
batch_size = 32
seed = 1                        # the same seed gives the same run
'''


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the experiment, such as mine.")],
    as_json: Json = False,
) -> None:
    """Write a recipe and a network to start from.

    The files are NAME.toml and NAME.py in the current folder. Existing files are never replaced.
    """
    from featherweight.errors import FeatherweightError

    check_name(name)
    texts = {Path(f"{name}.py"): NETWORK, Path(f"{name}.toml"): RECIPE}
    for file in texts:
        if file.exists():
            raise FeatherweightError(f"{str(file)!r} exists and is not replaced. Give another NAME.")
    for file, text in texts.items():
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text.format(name=name))
    network, recipe = map(str, texts)
    if as_json:
        return show_json({"network": network, "recipe": recipe})
    return say(f"wrote {network} and {recipe}. Next:", f"  featherweight summary {network}",
               f"  featherweight train {recipe}")


def check_name(name: str) -> None:
    """Raise typer.BadParameter for a name that a recipe cannot have, or whose file would hide a module."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or len(name) > LONGEST_NAME or name.endswith("."):
        raise typer.BadParameter(f"{name!r} is no NAME. Use letters, digits, '.', '_' and '-', such as mine.")
    places = [place for place in sys.path if place and Path(place) != Path.cwd()]
    if name in sys.stdlib_module_names or PathFinder.find_spec(name, places):
        raise typer.BadParameter(f"{name!r} is a Python module, which {name}.py would hide. Give another NAME.")


COMMANDS = (new,)
