"""A finished run for everything that uses one."""

from __future__ import annotations

import pytest

import featherweight


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """session7-model2 on the bundled digits, trained long enough to know them."""
    settings = ["data.dataset=digits", "training.epochs=6", "training.batch_size=32", "optimizer.lr=0.05"]
    recipe = featherweight.Recipe.load("session7-model2", [*settings, "schedule.name=one-cycle"])
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "digits", device="cpu")


@pytest.fixture(scope="session")
def sum_run(tmp_path_factory):
    """digit-sum on the bundled digits, one epoch: good for shapes, not for answers."""
    recipe = featherweight.Recipe.load("digit-sum", ["data.dataset=digits", "training.epochs=1"])
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "sum", device="cpu")
