"""A pupil of finished runs: its soft labels by hand, the whole story on the digits, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import featherweight
from featherweight import distillation, experiment
from featherweight import teachers as teachers_of_recipes
from featherweight.augment import Augmentation
from featherweight.distillation import Teacher, soft_labels
from featherweight.errors import RecipeError, RunError, TrainingInterrupted
from featherweight.inference.trained import TrainedNetwork
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe
from featherweight.replication import train_seeds
from featherweight.runs import Run
from featherweight.teachers import with_teacher
from featherweight.training.loop import train as train_replicas
from stopping import StopAt

CPU = torch.device("cpu")
MOVED = {"rotation": 10.0, "shift": 0.1}


@pytest.fixture
def pupil(digits_recipe, teachers):
    """pupil(section={...}): a recipe that learns from the two."""

    def build(**sections):
        return digits_recipe(**{"distillation": {"teacher": str(teachers)}, "training": {"epochs": 2}} | sections)

    return build


def same_weights(first, second):
    a, b = first.weights(), second.weights()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def told(run):
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.history]


def soft_of(recipe):
    return with_teacher(recipe, load_data(recipe, None), CPU).train.soft


# ---- soft labels ----


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_soft_labels_by_hand(pupil, teachers, temperature):
    """Softmax of log-probabilities / temperature is the probability's power, normalised."""
    recipe = pupil(augmentation=MOVED, distillation={"teacher": str(teachers), "temperature": temperature})
    data, generator = load_data(recipe, None), torch.Generator().manual_seed(distillation.SEED)
    parts = []
    for still in data.train.images.float().div(255).split(distillation.BATCH):
        moved = Augmentation(**MOVED)(still, generator)
        answers = []
        for seed in (1, 2):
            network = TrainedNetwork.open(teachers / f"seed-{seed}")
            for view in (still, moved):
                powers = network.probabilities((view * 255).numpy())["class"].astype(np.float64) ** (1 / temperature)
                answers.append(powers / powers.sum(axis=1, keepdims=True))
        parts.append(np.mean(answers, axis=0))
    found = with_teacher(recipe, data, CPU).train.soft
    assert found.dtype == torch.float32 and found.shape == (1437, 10)
    np.testing.assert_allclose(found.numpy(), np.concatenate(parts), atol=2e-5)
    assert not np.allclose(found.numpy(), answers[0].mean(), atol=0.1)


def test_without_augmentation_both_views_are_the_image(teachers):
    images = load_data(Run.open(teachers / "seed-1").recipe, None).train.images[:700]
    one = Teacher.of(Run.open(teachers / "seed-1"), CPU)
    alone = soft_labels([one], images, Augmentation(), 2.0, CPU)
    torch.testing.assert_close(alone.sum(dim=1), torch.ones(700))
    torch.testing.assert_close(alone[:500], one.probabilities(images[:500].float() / 255, 2.0).detach())


def test_a_higher_temperature_is_softer(pupil, teachers):
    cold, warm = (soft_of(pupil(distillation={"teacher": str(teachers), "temperature": t})) for t in (1.0, 4.0))
    assert (cold.max(dim=1).values > warm.max(dim=1).values).float().mean() > 0.99


def test_a_digit_sum_teaches_digits(sum_run, digits_recipe):
    soft = soft_of(digits_recipe(distillation={"teacher": str(sum_run.path), "temperature": 1.0}))
    labels = load_data(sum_run.recipe, None).train.labels
    assert soft.shape == (1437, 10)
    shown = sum_run.result["test"]["digit"]["accuracy"]
    assert (soft.argmax(dim=1) == labels).float().mean().item() == pytest.approx(shown, abs=0.1)


def test_soft_labels_go_where_their_images_go(pupil):
    data = with_teacher(pupil(), load_data(pupil(), None), CPU)
    labelled = replace(data, train=replace(data.train, stored_labels=torch.arange(1437)))      # each its own name
    held = labelled.hold_out(200, 3).to(CPU)
    for part in (held.train, held.validation):
        assert torch.equal(part.soft, data.train.soft[part.labels])
    assert data.test.soft is None and with_teacher(pupil(), data, CPU) is data


@pytest.mark.parametrize("section", [{"teacher": ""}, {"teacher": "nowhere", "weight": 0.0}])
def test_no_teacher_or_no_weight_is_the_plain_training(digits_recipe, tmp_path, section):
    plain = featherweight.train(digits_recipe(augmentation=MOVED), tmp_path / "plain")
    other = featherweight.train(digits_recipe(augmentation=MOVED, distillation=section), tmp_path / "other")
    assert same_weights(plain, other) and told(plain) == told(other)


# ---- training ----


def test_the_loss_of_a_step_is_the_formula(pupil, teachers):
    """One batch of all images, on the network as it was drawn."""
    recipe = pupil(training={"batch_size": 2000, "epochs": 1, "engine": "torch"},
                   distillation={"teacher": str(teachers), "weight": 0.6})
    first, second = (build_training(recipe, with_teacher(recipe, load_data(recipe, None), CPU), CPU) for _ in range(2))
    for training in (first, second):
        training.state.model[3].p = 0.0     # no dropout
    data = first.replica.data
    [[record]] = train_replicas([first.replica], first.task)
    output = second.state.model.train()((data.images.float() / 255 - data.mean) / data.std)
    soft = -(soft_of(recipe) * (output / 2).log_softmax(dim=1)).sum(dim=1).mean()
    hard = torch.nn.functional.cross_entropy(output, data.labels)
    assert record.train_loss == pytest.approx((0.4 * hard + 0.6 * 4 * soft).item(), rel=1e-5)


def test_a_pupil_follows_its_teacher(pupil, teachers, tmp_path):
    """With all weight on the teacher it learns the digits from answers alone: its labels are wrong."""
    recipe = pupil(training={"epochs": 4, "batch_size": 32}, optimizer={"lr": 0.05},
                   distillation={"teacher": str(teachers), "weight": 1.0})
    data = with_teacher(recipe, load_data(recipe, None), CPU)
    data = replace(data, train=replace(data.train, stored_labels=data.train.labels.flip(0)))
    run = experiment.train_recipe(recipe, tmp_path / "run", dataset=data)
    assert run.result["test"]["class"]["accuracy"] > 0.7 and run.result["train"]["accuracy"]["class"] < 0.3
    assert Run.open(run.path).recipe == recipe


def test_interrupted_and_resumed_is_the_undisturbed_run(pupil, tmp_path):
    recipe = pupil(augmentation=MOVED)
    whole = featherweight.train(recipe, tmp_path / "whole")
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(recipe, tmp_path / "run", watcher=StopAt(15))
    resumed = featherweight.train(recipe, tmp_path / "run", resume=True)
    assert same_weights(whole, resumed) and told(whole) == told(resumed)
    other = pupil(augmentation=MOVED, distillation={"teacher": recipe.distillation.teacher, "weight": 0.5})
    with pytest.raises(RunError, match=r"another distillation\.weight"):
        featherweight.train(other, tmp_path / "run", resume=True)


def test_seeds_share_what_was_found_once(pupil, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(teachers_of_recipes, "soft_labels", lambda *given: calls.append(1) or soft_labels(*given))
    recipe = pupil(augmentation=MOVED)
    replicas = train_seeds(recipe, [1, 5], tmp_path / "seeds")
    assert calls == [1]
    assert same_weights(replicas.run(5), featherweight.train(recipe.with_seed(5), tmp_path / "alone"))
    assert not same_weights(replicas.run(5), replicas.run(1))


def test_two_heads_learn_too(teachers, tmp_path):
    settings = ["data.dataset=digits", "training.epochs=1", f"distillation.teacher={teachers}"]
    plain = Recipe.load("digit-sum", settings[:2])
    one, other = (featherweight.train(recipe, tmp_path / name, device="cpu")
                  for name, recipe in (("plain", plain), ("taught", Recipe.load("digit-sum", settings))))
    assert list(other.result["test"]) == ["digit", "sum", "both"] and not same_weights(one, other)


def test_a_temperature_that_leaves_no_numbers(pupil, teachers):
    with pytest.raises(RecipeError, match=r"distillation\.temperature: 1e-300 .*between 1 and 10"):
        soft_of(pupil(distillation={"teacher": str(teachers), "temperature": 1e-300}))


def test_a_teacher_of_leaning_digits_does_not_teach_upright_ones(pupil, digits_recipe, tmp_path):
    with pytest.raises(RunError, match=r"was trained with data\.upright False, this recipe has True\. Give a teacher"):
        soft_of(pupil(data={"upright": True}))
    teacher = featherweight.train(digits_recipe(data={"upright": True}), tmp_path / "upright").path
    assert soft_of(pupil(data={"upright": True}, distillation={"teacher": str(teacher)})).shape == (1437, 10)
