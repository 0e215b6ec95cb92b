"""The recipe of a network that comes without one. Used by `featherweight.train(model=...)` and `train net.py:Net`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from featherweight.recipe import Recipe, apply_setting
from featherweight.specification import HANDWRITING

FEW = 5000      # with fewer training images than this, the batch size is 32 instead of 128
DEFAULTS: dict[str, Any] = {
    "name": "mine",
    "optimizer": {"name": "muon", "lr": 0.02, "nesterov": True},     # low: some networks have no BatchNorm
    "schedule": {"name": "one-cycle"},
    "training": {"epochs": 15},
}
MOVED = {"rotation": 7, "shift": 0.05, "scale": 0.05, "fade": 0.5}     # for handwriting, as in tuned recipes


def recipe_of(network: str, settings: Sequence[str], images: int | None = None) -> Recipe:
    """Return the default recipe for a network, such as "net.py:Net", with settings such as "training.epochs=1".

    The recipe has the name of the class, or "mine" for a network in words.
    images: number of training images, if known.
    """
    attribute = network.rpartition(":")[2]
    content: dict[str, Any] = {"name": attribute} if re.fullmatch(r"[A-Za-z]\w*", attribute, re.A) else {}
    content["model"] = {"name": network}
    for setting in settings:
        apply_setting(content, setting)
    return Recipe.from_dict(filled(content, images), origin="the command line")


def filled(content: dict[str, Any], images: int | None = None) -> dict[str, Any]:
    """Return the content of a recipe merged over DEFAULTS. images: number of training images, if known."""
    name = content.get("data", {}).get("dataset", "mnist")
    few = name == "digits" or (images is not None and images < FEW)
    defaults = {**DEFAULTS, "training": {**DEFAULTS["training"], "batch_size": 32 if few else 128}}
    if name in HANDWRITING:
        defaults["augmentation"] = MOVED
    merged = defaults | content
    return merged | {key: defaults[key] | content.get(key, {}) for key in defaults if key != "name"}
