"""Networks that were trained in C run in C in evaluation mode too: the same log-probabilities as by torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import featherweight
from featherweight import examination
from featherweight.data import Images
from featherweight.distillation import Teacher
from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.recipe import Recipe
from featherweight.tasks import build_task
from featherweight.training import evaluation_pass, measurement
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import recorded_plan
from featherweight.training.compiled.reading import NotCompiled
from featherweight.training.compiled.source import c_source
from featherweight.training.evaluation_pass import compiled_copy
from featherweight.training.measurement import run_on

THIN = sorted(CATALOGUE.keys() - {"session1", "session7-model3"})      # model 3 has the network of model 2
CPU = torch.device("cpu")


def with_statistics(model: nn.Module) -> nn.Module:
    """Give each batch normalisation running statistics, gains and shifts of its own."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


def small(*between: nn.Module) -> nn.Module:
    """A network of one convolution, with layers after it, for images of 8x8."""
    return with_statistics(nn.Sequential(
        nn.Conv2d(1, 6, 3), *between, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)))


def images_of(count: int, side: int, channels: int = 1) -> Images:
    pixels = torch.randint(256, (count, channels, side, side), dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % 3, torch.tensor([0.2] * channels), torch.tensor([0.3] * channels))


def outputs(model: nn.Module, data: Images, engine: str, precision: str = "float32", **more: Any) -> tuple[Tensor, ...]:
    task = build_task("digit-sum" if type(model).__name__ == "DigitSum" else "classification")
    return run_on(model, data, task.evaluation_batches(data.labels), precision, engine, **more)[0]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of images of each compiled pass in evaluation mode."""
    found: list[int] = []
    forward = CompiledNetwork.forward

    def counted(self: CompiledNetwork, inputs: Any, *, key: int, training: bool = True) -> tuple[Tensor, ...]:
        if not training:
            found.append(len(inputs[0]))
        return forward(self, inputs, key=key, training=training)

    monkeypatch.setattr(CompiledNetwork, "forward", counted)
    return found


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few images, too, run in C."""
    monkeypatch.setattr(measurement, "MANY", 1)


# ---- the same outputs as torch ----


@pytest.mark.parametrize("name", THIN)
def test_log_probabilities_are_those_of_torch(name: str, passes: list[int]) -> None:
    """For digit-sum also: ten numbers for each image, and two heads."""
    model = with_statistics(build_model(name))
    channels, side, _ = input_shapes(model)[0]
    data = images_of(150, side, channels)
    for precision, close in (("float32", 1e-5), ("bf16", 0.1)):
        expected, found = (outputs(model, data, engine, precision) for engine in ("torch", "compiled"))
        for one, other in zip(expected, found, strict=True):
            assert one.shape == other.shape and one.dtype == other.dtype == torch.float32
            torch.testing.assert_close(other, one, atol=close, rtol=close)
    assert set(passes) == {128, 22}


@pytest.mark.parametrize("name", THIN)
def test_evaluation_uses_the_library_of_training(name: str) -> None:
    model = build_model(name)
    blank = [torch.zeros(2, *shape) for shape in model.input_shapes]
    first, second = (recorded_plan(model, blank, training=mode) for mode in (True, False))
    assert c_source(first, half=True) == c_source(second, half=True)


@pytest.mark.parametrize("batch_size", [1, 7, 100, 128, 200, 500])
def test_outputs_do_not_depend_on_the_batch(batch_size: int, passes: list[int]) -> None:
    model, data = small(nn.BatchNorm2d(6)), images_of(200, 8)
    [whole], [parts] = outputs(model, data, "compiled"), outputs(model, data, "compiled", batch_size=batch_size)
    assert torch.equal(whole, parts) and passes


def test_threads_change_nothing() -> None:
    model, data = small(nn.BatchNorm2d(6), nn.Dropout()), images_of(300, 8)
    [alone] = outputs(model, data, "compiled")
    torch.set_num_threads(2)
    try:
        [both] = outputs(model, data, "compiled")
    finally:
        torch.set_num_threads(1)
    assert torch.equal(alone, both)


# ---- which network runs ----


def test_the_network_and_its_gradients_are_untouched() -> None:
    """The weights keep their memory layout, which is not that of C."""
    model = small(nn.BatchNorm2d(6), nn.Dropout()).to(memory_format=torch.channels_last).train()
    for index, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, 7.0) if index % 2 else None
    before = copy.deepcopy(model.state_dict())
    assert compiled_copy(model, [torch.zeros(2, 1, 8, 8)], "float32") is not None
    outputs(model, images_of(10, 8), "compiled")
    for index, parameter in enumerate(model.parameters()):
        assert (parameter.grad == 7).all() if index % 2 else parameter.grad is None
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training and model[0].weight.is_contiguous(memory_format=torch.channels_last)


class Aside(nn.Module):
    """Computes something else in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else F.relu(x)


class AlwaysDrops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5)


def test_a_network_may_differ_in_evaluation_mode(passes: list[int]) -> None:
    model, data = small(Aside(), nn.BatchNorm2d(6)), images_of(10, 8)
    torch.testing.assert_close(outputs(model, data, "compiled"), outputs(model, data, "torch"), atol=1e-5, rtol=1e-5)
    assert passes == [10]


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(6, track_running_stats=False), AlwaysDrops(), nn.Sigmoid()])
def test_what_has_no_compiled_form_runs_by_torch(layer: nn.Module, passes: list[int]) -> None:
    model, data = small(layer), images_of(10, 8)
    torch.manual_seed(1)
    expected = outputs(model, data, "torch")
    torch.manual_seed(1)
    assert torch.equal(outputs(model, data, "compiled")[0], expected[0]) and not passes


def test_a_network_that_torch_trained_runs_by_torch(passes: list[int]) -> None:
    outputs(small(), images_of(10, 8), "torch")
    assert not passes


def test_few_images_run_by_torch(passes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "MANY", 11)
    outputs(small(), images_of(10, 8), "compiled")
    assert not passes
    outputs(small(), images_of(11, 8), "compiled")
    assert passes == [11]


@pytest.mark.parametrize("fault", [MemoryError, RuntimeError])
def test_a_failure_is_no_reason_to_stop(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch, passes: list[int]
) -> None:
    def fails(*args: Any, **more: Any) -> None:
        raise fault("no")

    monkeypatch.setattr(evaluation_pass, "CompiledNetwork", fails)
    model, data = small(), images_of(10, 8)
    assert torch.equal(outputs(model, data, "compiled")[0], outputs(model, data, "torch")[0]) and not passes


def test_a_mean_of_all_batches_is_not_compiled() -> None:
    """Without momentum, each batch counts as much as those before it: the momentum of a record would be wrong."""
    with pytest.raises(NotCompiled):
        recorded_plan(small(nn.BatchNorm2d(6, momentum=None)), [torch.zeros(2, 1, 8, 8)])


# ---- runs ----


@pytest.fixture(scope="module")
def trained(
    digits_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., featherweight.Run]:
    """trained(engine, precision): a run with an average of the weights, measured after each epoch."""
    def train(engine: str, precision: str = "float32") -> featherweight.Run:
        recipe = digits_recipe(
            training={"engine": engine, "precision": precision, "epochs": 3, "batch_size": 32, "ema": 0.9},
            optimizer={"lr": 0.05}, evaluation={"curve": "test"})
        return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / engine, device="cpu")

    return train


@pytest.mark.parametrize(("engine", "precision"), [("torch", "float32"), ("compiled", "float32"), ("compiled", "bf16")])
def test_a_finished_run_gives_its_numbers_again(
    engine: str, precision: str, trained: Callable[..., featherweight.Run], passes: list[int]
) -> None:
    run = trained(engine, precision)
    assert run.result["engine"] == engine and bool(passes) == (engine == "compiled")
    passes.clear()
    assert examination.evaluate(run)["class"].to_dict() == run.result["test"]["class"]
    curve = run.history[-1]["curve"]["class"]
    assert curve == {key: value for key, value in run.result["test"]["class"].items() if key != "recall"}
    seen = examination.examine(run)
    assert measurement.score_heads(seen.task, tuple(seen.answers.values()), tuple(seen.targets.values()))[
        "class"].to_dict() == run.result["test"]["class"]
    assert bool(passes) == (engine == "compiled")


def test_a_teacher_runs_in_c(trained: Callable[..., featherweight.Run], passes: list[int], reseal: Any) -> None:
    run = trained("compiled")
    passes.clear()
    images = torch.rand(300, 1, 28, 28)
    found = Teacher.of(run, CPU).probabilities(images, 2.0)
    assert passes == [128, 128, 44]
    expected = Teacher.of(reseal(run.path, engine="torch"), CPU).probabilities(images, 2.0).detach()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert len(passes) == 3
