"""What every network of the catalogue promises, and what sets the single ones apart."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.models.digit_sum import DigitSum
from featherweight.tasks import as_heads, build_task, loss_of

PARAMETERS = {      # facts.md, "The nine systems"
    "session1": 6_379_786,
    "session5": 593_200,
    "session6": 16_976,
    "session7-model1": 4_312,
    "session7-model2": 7_524,
    "session7-model3": 7_524,
    "digit-sum": 21_843,
}
SINGLE_HEAD = [name for name in PARAMETERS if name != "digit-sum"]


def examples(model, count, in_channels=1):
    """Random inputs of the shapes that the network names."""
    shapes = [list(shape) for shape in input_shapes(model)]
    shapes[0][0] = in_channels
    return [torch.randn(count, *shape) for shape in shapes]


def count_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_catalogue_holds_the_seven_networks_of_the_documents():
    assert len(CATALOGUE) == 7
    assert set(CATALOGUE) == set(PARAMETERS)


@pytest.mark.parametrize("name", CATALOGUE)
class TestContract:
    def test_parameter_count_is_the_documents(self, name):
        model = build_model(name)
        assert count_parameters(model) == PARAMETERS[name]
        assert all(parameter.requires_grad for parameter in model.parameters())

    @pytest.mark.parametrize("count", [1, 5])
    def test_outputs_are_log_probabilities_one_tensor_a_head(self, name, count):
        model = build_model(name).eval()
        with torch.no_grad():
            heads = as_heads(model(*examples(model, count)))
        assert [tuple(head.shape) for head in heads] == [(count, 10), (count, 19)][: len(heads)]
        assert len(heads) == (2 if name == "digit-sum" else 1)
        for head in heads:
            torch.testing.assert_close(head.exp().sum(dim=1), torch.ones(count))

    def test_the_same_seed_gives_the_same_weights(self, name):
        def weights(seed):
            torch.manual_seed(seed)
            return build_model(name).state_dict()

        first, again, other = weights(1), weights(1), weights(2)
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)

    def test_gradients_reach_every_parameter(self, name):
        model = build_model(name).train()
        labels = torch.arange(8)
        question = build_task("digit-sum").ask(labels, torch.Generator().manual_seed(0))
        images = examples(model, 8)[0]
        if name == "digit-sum":
            loss = loss_of(model(images, *question.inputs), question.targets)
        else:
            loss = loss_of(model(images), (labels,))
        loss.backward()
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), key

    def test_state_dict_round_trip(self, name):
        torch.manual_seed(1)
        model = build_model(name).eval()
        torch.manual_seed(2)
        other = build_model(name).eval()
        inputs = examples(model, 2)
        with torch.no_grad():
            wanted, before = as_heads(model(*inputs)), as_heads(other(*inputs))
            other.load_state_dict(model.state_dict())
            after = as_heads(other(*inputs))
        assert not torch.equal(wanted[0], before[0])
        assert all(torch.equal(a, b) for a, b in zip(wanted, after, strict=True))

    def test_colour_images(self, name):
        model = build_model(name, {"in_channels": 3}).eval()
        with torch.no_grad():
            assert as_heads(model(*examples(model, 2, in_channels=3)))[0].shape == (2, 10)

    def test_one_example_is_a_28x28_image_first(self, name):
        assert input_shapes(build_model(name))[0] == (1, 28, 28)


@pytest.mark.parametrize("name", SINGLE_HEAD)
def test_other_numbers_of_classes(name):
    model = build_model(name, {"classes": 3}).eval()
    with torch.no_grad():
        assert model(*examples(model, 2)).shape == (2, 3)


def test_models_2_and_3_of_session7_are_one_network():
    assert CATALOGUE["session7-model2"] is CATALOGUE["session7-model3"]


@pytest.mark.parametrize("name", ["session6", "session7-model1", "digit-sum"])
def test_the_dropout_rate_is_an_argument(name):
    model = build_model(name, {"dropout": 0.25})
    rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.25}


def session1_with_raw_logits(final_relu):
    torch.manual_seed(0)
    model = build_model("session1", {"final_relu": final_relu}).eval()
    raw = []
    model.conv7.register_forward_hook(lambda module, inputs, output: raw.append(output.flatten(1)))
    with torch.no_grad():
        output = model(torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    return raw[0], output


def test_session1_as_documented_lets_no_logit_below_zero_through():
    raw, output = session1_with_raw_logits(final_relu=True)
    assert (raw < 0).any(), "the ReLU must have something to cut off"
    torch.testing.assert_close(output, F.log_softmax(raw.clamp(min=0), dim=1))


def test_session1_without_its_final_relu_keeps_negative_logits():
    raw, output = session1_with_raw_logits(final_relu=False)
    torch.testing.assert_close(output, F.log_softmax(raw, dim=1))
    assert count_parameters(build_model("session1", {"final_relu": False})) == PARAMETERS["session1"]


def test_the_two_parts_of_digit_sum():
    model = DigitSum()
    assert count_parameters(model.reader) == 7_840
    assert count_parameters(model.adder) == 14_003
    assert count_parameters(model.join) == 0


def test_digit_sum_answers_the_digit_without_looking_at_the_number():
    model = DigitSum().eval()
    images, numbers = torch.randn(1, 1, 28, 28).expand(10, -1, -1, -1), torch.eye(10)
    with torch.no_grad():
        digit, total = model(images, numbers)
    assert (digit == digit[0]).all()
    assert not torch.allclose(total, total[:1].expand_as(total))
