"""Looking changes nothing: weights, buffers, modes and the random state are as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import featherweight
from featherweight import examination, networks
from featherweight.data import Images
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.tasks import build_task
from featherweight.training.measurement import measure


@pytest.fixture
def run(digits_recipe: Callable[..., Recipe], tmp_path: Path) -> Run:
    return featherweight.train(digits_recipe(), tmp_path / "run")


@pytest.mark.parametrize("look", [examination.evaluate, networks.load_network], ids=["evaluate", "load_network"])
def test_looking_at_a_run_leaves_the_random_state(run: Run, look: Callable[[Run], object]) -> None:
    before = torch.get_rng_state()
    look(run)
    assert torch.get_rng_state().equal(before)


def test_looking_at_a_run_leaves_its_files(run: Run) -> None:
    def files() -> dict[str, tuple[bytes, int]]:
        found = (file for file in run.path.rglob("*") if file.is_file())
        return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in found}

    before = files()
    examination.evaluate(run)
    assert files() == before


def test_measuring_leaves_a_layer_frozen_that_was_frozen() -> None:
    """A user may train with some batch norm in evaluation mode; measuring must not thaw it."""
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 3)).train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    buffers = [buffer.clone() for buffer in model.buffers()]
    images, random = _images(), torch.get_rng_state()
    measure(model, images, build_task("classification"), "float32")
    assert [module.training for module in model.modules()] == modes
    assert all(a.equal(b) for a, b in zip(model.buffers(), buffers, strict=True))
    assert torch.get_rng_state().equal(random)


def test_a_measure_that_fails_leaves_the_modes_too() -> None:
    class Fails(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            raise RuntimeError("no")

    model = nn.Sequential(nn.Flatten(), Fails(16, 3)).train()
    with pytest.raises(RuntimeError, match="no"):
        measure(model, _images(), build_task("classification"), "float32")
    assert all(module.training for module in model.modules())


def _images() -> Images:
    pixels = torch.randint(256, (6, 1, 4, 4), dtype=torch.uint8)
    return Images(pixels, torch.arange(6) % 3, torch.tensor([0.5]), torch.tensor([0.25]))
