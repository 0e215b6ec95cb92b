"""Pages of real runs on the bundled digits."""

from __future__ import annotations

import shutil

import pytest

import featherweight
from featherweight.report import write_report


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory, digits_recipe):
    """Two recipes, two seeds each, one epoch."""
    folder = tmp_path_factory.mktemp("tiny")
    runs = []
    for name, lr in (("slow", 0.01), ("fast", 0.1)):
        for seed in (1, 2):
            recipe = digits_recipe(
                name=name, training={"seed": seed}, optimizer={"lr": lr}, goal={"target": "Learn.", "accuracy": 0.5}
            )
            runs.append(featherweight.train(recipe, folder / f"{name}-{seed}", device="cpu"))
    return runs


@pytest.fixture(scope="session")
def pages(tmp_path_factory, digits_run, sum_run, tiny_runs):
    """One run, one with two heads, several side by side, more than are shown in full."""
    folder = tmp_path_factory.mktemp("pages")
    copies = [shutil.copytree(tiny_runs[0].path, folder / f"copy-{n}") for n in range(2)]
    subjects = {"one": [digits_run], "two-heads": [sum_run], "several": tiny_runs, "many": [*tiny_runs, *copies]}
    for name, runs in subjects.items():
        write_report(runs, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in subjects}
