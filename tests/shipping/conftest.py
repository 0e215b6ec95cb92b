"""Networks to ship: with weights and normalisation as training would leave them, and real images to ask about."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import featherweight
from featherweight.data import load_dataset
from featherweight.inference.card import Card
from featherweight.models import build_model
from featherweight.recipe import Recipe
from featherweight.shipping.pixels import PixelsToProbabilities
from featherweight.specification import PictureSpecification


def card_of(module, classes=10):
    """The card of a network that was never trained."""
    names = tuple(str(number) for number in range(classes))
    sums = tuple(str(number) for number in range(19))
    number = len(getattr(module, "input_shapes", ((1, 28, 28),))) == 2
    heads = {"digit": names, "sum": sums} if number else {"class": names}
    return Card("test", "test", 1, "digits", heads, number, (0.3,), (0.35,), dict.fromkeys(heads, 0.5),
                PictureSpecification())


def lived_in(module):
    """The network in evaluation mode, its normalisation as far from 1 and 0 as training leaves it."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, -1.5, 1.5)
            nn.init.normal_(part.bias, std=0.5)
            nn.init.normal_(part.running_mean, std=0.5)
            nn.init.uniform_(part.running_var, 0.2, 3)
        elif isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(part.weight)
    return module.eval()


def catalogue_network(name):
    """A network of the catalogue; the two largest with a sixteenth of their channels, because gcc takes a minute."""
    module = build_model(name)
    if name == "session5":
        module.conv1, module.conv2 = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 4, 3)
        module.conv3, module.conv4 = nn.Conv2d(4, 8, 3), nn.Conv2d(8, 16, 3)
        module.fc1 = nn.Linear(4 * 4 * 16, 50)
    if name == "session1":
        for index in range(1, 8):
            conv = getattr(module, f"conv{index}")
            inputs = max(1, conv.in_channels // 16)
            outputs = conv.out_channels // 16 if index < 7 else 10
            setattr(module, f"conv{index}", nn.Conv2d(inputs, outputs, 3, padding=conv.padding))
    return lived_in(module).to(memory_format=torch.channels_last)     # as training leaves it


def torch_answer(module, card, images, numbers):
    """What torch says, as numpy arrays by head."""
    inputs = [torch.tensor(images)] + ([] if numbers is None else [torch.tensor(numbers)])
    with torch.no_grad():
        answers = PixelsToProbabilities(module, card)(*inputs)
    return {head: answer.numpy() for head, answer in zip(card.heads, answers, strict=True)}


@pytest.fixture(scope="session")
def images():
    """A few test images of the digits, and one of noise."""
    few = load_dataset("digits").test.images[:11].numpy()
    noise = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28), dtype=np.uint8)
    return np.concatenate([few, noise])


@pytest.fixture(scope="session")
def odd_run(tmp_path_factory):
    """odd_run("Squeezed"): the run of a network of odd_networks.py after an epoch of the digits, trained once."""

    @functools.cache
    def train(name):
        file = Path(__file__).with_name("odd_networks.py")
        recipe = Recipe.from_dict({
            "name": name, "task": "digit-sum" if name == "TwoHeads" else "classification",
            "data": {"dataset": "digits", "channels": 3 if name == "Coloured" else 1},
            "model": {"name": f"{file}:{name}"}, "training": {"precision": "float32", "batch_size": 32},
            "optimizer": {"lr": 0.05},
        })
        with pytest.MonkeyPatch.context() as patch:     # as a run from before training refused such networks
            patch.setattr("featherweight.training.fit.check_alone", lambda model, inputs: None)
            return featherweight.train(recipe, tmp_path_factory.mktemp("odd") / name, device="cpu", quiet=True)

    return train
