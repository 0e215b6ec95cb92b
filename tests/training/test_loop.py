"""THE loop: its records, its order, its measures, and what makes it stop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.augment import Augmentation
from featherweight.data import Images
from featherweight.errors import TrainingDiverged
from featherweight.tasks import build_task
from featherweight.training import loop
from featherweight.training.engine import Replica
from featherweight.training.measurement import log_probabilities, measure, run_on, total_loss
from featherweight.training.optimization import build_average, build_optimizer, build_schedule
from featherweight.training.order import selected_order
from featherweight.training.plan import Plan
from featherweight.training.state import TrainingState


def blobs(count=64, classes=4):
    """Images whose one bright row tells their class."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(classes, (count,), generator=generator)
    images = torch.randint(40, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), 0, labels * 2] = 220
    return Images(images, labels, torch.tensor([0.2]), torch.tensor([0.3]))


def state_of(model, lr=0.1, schedule="constant", total_steps=100, ema=0.0):
    optimizer = build_optimizer(model.parameters(), "sgd", lr=lr, momentum=0.9)
    average = build_average(model, ema) if ema else None
    made = build_schedule(optimizer, schedule, total_steps=total_steps, patience=0)
    return TrainingState(model, optimizer, made, average, torch.Generator().manual_seed(1))


def small_network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


CLASSES = build_task("classification")


def train(state, data, task, plan, curve=None, **options):
    """Yield the records of one replica."""
    for (record,) in loop.train([Replica(state, data, plan, curve)], task, **options):
        yield record


def test_it_yields_a_record_an_epoch_and_learns():
    data, state = blobs(), state_of(small_network())
    records = list(train(state, data, CLASSES, Plan(epochs=8, batch_size=16, seed=1)))
    assert [record.epoch for record in records] == list(range(1, 9))
    assert records[-1].train_loss < records[0].train_loss / 2
    assert records[-1].train_accuracy["class"] > 0.95
    assert records[-1].curve is None and records[-1].curve_on is None
    assert state.position.epoch == 8 and state.position.step == 0
    assert state.position.seconds >= sum(record.seconds for record in records) - 1e-6


def test_the_running_numbers_are_means_over_images():
    """With a learning rate of next to nothing they equal a measure of the untouched network."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    data = blobs(50)
    expected = measure(network, data, CLASSES, "float32")["class"]
    state = state_of(network, lr=1e-12)
    (record,) = train(state, data, CLASSES, Plan(epochs=1, batch_size=16, seed=1))
    assert record.train_loss == pytest.approx(expected.loss, rel=1e-5)
    assert record.train_accuracy["class"] == pytest.approx(expected.accuracy)


@pytest.mark.parametrize(("count", "steps"), [(32, 2), (33, 2), (34, 3), (47, 3)])
def test_a_last_batch_of_one_image_is_left_out(count, steps):
    """Batch normalisation has no statistics of a single number."""
    plan, seen = Plan(epochs=1, batch_size=16, seed=1), []
    state = state_of(small_network())
    list(train(state, blobs(count), CLASSES, plan, on_step=lambda state, total: seen.append(total)))
    assert plan.steps(count) == steps and seen == [steps] * steps


def test_a_fraction_of_the_images_makes_shorter_epochs_and_remembers_losses():
    """With a learning rate of next to nothing the losses are those of the untouched network."""
    torch.manual_seed(0)
    network, data, seen = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), blobs(50), []
    answers, targets = run_on(network, data, [CLASSES.fixed_batch(data.labels)], "float32")
    expected = nn.functional.nll_loss(answers[0], targets[0], reduction="none")
    state, plan = state_of(network, lr=1e-12), Plan(epochs=3, batch_size=16, seed=1, fraction=0.5)
    records = list(train(state, data, CLASSES, plan, on_step=lambda state, steps: seen.append(steps)))
    torch.testing.assert_close(state.losses, expected)
    assert seen == [4] * 4 + [2] * 4 and plan.steps_before(50, 3) == 8 and plan.steps_before(50, 1) == 4
    assert set(expected.topk(13).indices.tolist()) <= set(state.order.tolist()) and len(state.order) == 25
    assert records[1].train_loss == pytest.approx(expected[state_order_of(state, plan, 1)].mean().item())
    assert records[1].train_loss > records[0].train_loss


def state_order_of(state, plan, epoch):
    return selected_order(state.losses, plan.images(50, epoch), plan.seed, epoch)


def test_an_augmentation_that_fades_leaves_the_last_images_as_they_are():
    """A rectangle of each is blanked until the fade begins, and of next to none at its end."""
    data, seen = blobs(64), []
    data = Images(torch.full_like(data.images, 255), data.labels, torch.zeros(1), torch.ones(1))

    class Watching(nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(int((x < 1).any(dim=1).sum()))
            return super().forward(x)

    plan = Plan(10, 16, seed=1, augmentation=Augmentation(erasing=1.0, fade=0.5))
    list(train(state_of(nn.Sequential(nn.Flatten(), Watching(64, 4))), data, CLASSES, plan))
    blanked = torch.tensor(seen).view(10, 4).sum(dim=1).tolist()        # an epoch
    assert min(blanked[:5]) > 55 and blanked[5] > blanked[7] > blanked[9] and blanked[9] < 16


def test_the_curve_is_measured_after_each_epoch_on_what_it_is_given():
    data, held_out = blobs(), blobs(30)
    state = state_of(small_network())
    records = list(train(state, data, CLASSES, Plan(2, 16, 1), curve=("validation", held_out)))
    assert [record.curve_on for record in records] == ["validation"] * 2
    assert records[-1].curve["class"] == measure(state.model, held_out, CLASSES, "float32")["class"]


def test_a_plateau_watches_the_curve():
    """With patience 0 and a network that cannot move, the rate drops at every epoch after the first."""
    state = state_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), lr=1e-7, schedule="plateau")
    records = list(train(state, blobs(), CLASSES, Plan(3, 16, 1), curve=("validation", blobs(30))))
    assert [record.lr for record in records] == pytest.approx([1e-7, 1e-7, 1e-8])


def test_the_average_is_what_is_measured():
    state = state_of(small_network(), ema=0.9)
    (record,) = train(state, blobs(), CLASSES, Plan(1, 16, 1), curve=("validation", blobs(30)))
    assert state.trained is state.average.module
    assert record.curve["class"] == measure(state.average.module, blobs(30), CLASSES, "float32")["class"]
    assert record.curve["class"].loss != measure(state.model, blobs(30), CLASSES, "float32")["class"].loss


def test_a_loss_that_is_no_number_stops_with_advice():
    state = state_of(small_network(), lr=0.5)
    with torch.no_grad():
        state.model[1].weight.fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match=r"nan in epoch 1, step 1.*optimizer\.lr=0\.05.*gradient_clip") as fault:
        list(train(state, blobs(), CLASSES, Plan(1, 16, 1)))
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("stop_after", [1, 3, 4, 5])
def test_a_stop_ends_after_the_step_or_epoch_under_way(stop_after):
    taken = []
    state = state_of(small_network())
    records = list(
        train(
            state, blobs(), CLASSES, Plan(2, 16, 1),
            on_step=lambda state, steps: taken.append(1), should_stop=lambda: len(taken) >= stop_after,
        )
    )  # fmt: skip
    assert len(taken) == stop_after and len(records) == stop_after // 4
    assert (state.position.epoch, state.position.step) == divmod(stop_after, 4)


def test_measuring_changes_nothing():
    network, data = small_network(), blobs()
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    random = torch.get_rng_state()
    first, second = (measure(network, data, CLASSES, "float32") for _ in range(2))
    assert first == second and network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_the_batch_size_of_a_measure_does_not_matter():
    network, data = small_network().eval(), blobs(37)
    question = CLASSES.fixed_batch(data.labels)
    whole, parts = (run_on(network, data, [question], "float32", batch_size=size) for size in (500, 5))
    assert torch.equal(whole[1][0], parts[1][0])
    assert torch.allclose(whole[0][0], parts[0][0], atol=1e-6)


class Adder(nn.Module):
    """Knows the digit from the brightest row of the image, and adds exactly, except to a 3 or when 9 is asked."""

    def forward(self, images, numbers):
        digit = images[:, 0].mean(2)[:, :10].argmax(1)
        number = numbers.argmax(1)
        total = digit + number - (number == 9).long()
        wrong = torch.where(digit == 3, 4, digit)
        logits = (nn.functional.one_hot(classes, n).float() * 50 for classes, n in ((wrong, 10), (total, 19)))
        return tuple(logits)


def test_digit_sum_is_measured_on_all_pairs_of_image_and_number():
    labels = torch.arange(10).repeat(3)
    images = torch.zeros(30, 1, 12, 12, dtype=torch.uint8)
    images[torch.arange(30), 0, labels] = 200
    data = Images(images, labels, torch.tensor([0.0]), torch.tensor([1.0]))
    scores = measure(Adder(), data, build_task("digit-sum"), "float32")
    assert list(scores) == ["digit", "sum", "both"]
    assert [score.count for score in scores.values()] == [300] * 3
    assert scores["digit"].correct == 270           # 3s are misread
    assert scores["sum"].correct == 270             # 9 is added wrongly
    assert scores["both"].correct == 243            # so 3 images of a 3 and, of the rest, one number in ten
    assert scores["both"].loss is None
    assert total_loss(scores) == pytest.approx(scores["digit"].loss + scores["sum"].loss)


def test_the_class_none_is_no_prediction_of_a_measurement():
    outputs = torch.tensor([[1.0, 2.0, 9.0], [3.0, 0.0, -1.0]])
    found = log_probabilities(outputs, none=True)
    assert found.argmax(dim=1).tolist() == [1, 0] and found.exp()[:, 2].max() < 1e-30
    assert torch.allclose(found[:, :2], torch.log_softmax(outputs[:, :2], dim=1))
    assert torch.equal(log_probabilities(outputs, none=False), torch.log_softmax(outputs, dim=1))
