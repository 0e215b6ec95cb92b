"""The network trained by hand: the document's numbers, autograd, finite differences, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from featherweight.byhand import RATES, Network, starting_values, train
from featherweight.byhand.network import backward, forward
from featherweight.errors import ByHandError

KINDS = [("softmax", "squared"), ("softmax", "cross-entropy"), ("sigmoid", "squared"),
         ("sigmoid", "binary-cross-entropy")]


@st.composite
def networks_and_starts(draw):
    """Any network with any starting values that stay clear of saturation."""
    output, loss = draw(st.sampled_from(KINDS))
    network = Network(draw(st.integers(1, 8)), output, loss, draw(st.booleans()))
    weights = draw(st.lists(st.floats(-2, 2), min_size=len(network.parameters), max_size=len(network.parameters)))
    inputs = draw(st.lists(st.floats(-2, 2), min_size=2, max_size=2))
    first = draw(st.floats(0, 1))
    targets = [first, 1 - first if loss == "cross-entropy" else draw(st.floats(0, 1))]
    return network, starting_values(network, inputs, targets, weights)


def autograd(network, start):
    """E_total, its derivatives by the parameters, and those by o1 and o2, in float64."""
    leaf = {name: torch.tensor(start[name], dtype=torch.float64, requires_grad=True) for name in network.parameters}
    weights, biases = [leaf[w] for w in network.weights], [leaf[b] for b in network.bias_of.values()]
    into_hidden = torch.stack(weights[: 2 * network.hidden]).view(network.hidden, 2)
    into_output = torch.stack(weights[2 * network.hidden :]).view(2, network.hidden)
    inputs, targets = (torch.tensor([start[f"{n}1"], start[f"{n}2"]], dtype=torch.float64) for n in "it")
    hidden_bias, output_bias = (torch.stack(b) if b else None for b in (biases[:-2], biases[-2:]))
    outputs = F.linear(torch.sigmoid(F.linear(inputs, into_hidden, hidden_bias)), into_output, output_bias)
    activated = torch.sigmoid(outputs) if network.output == "sigmoid" else torch.softmax(outputs, 0)
    if network.loss == "squared":
        error = F.mse_loss(activated, targets, reduction="sum") / 2
    elif network.loss == "cross-entropy":
        error = F.cross_entropy(outputs, targets)
    else:
        error = F.binary_cross_entropy_with_logits(outputs, targets, reduction="sum")
    *slopes, by_outputs = torch.autograd.grad(error, [*leaf.values(), outputs])
    return error.item(), dict(zip(leaf, (slope.item() for slope in slopes), strict=True)), by_outputs.tolist()


def test_the_documents_numbers():
    for output, first, second in (("softmax", 0.215838734, 0.164358903), ("sigmoid", 0.242519857, 0.228547765)):
        network = Network(output=output)
        rows = train(network, starting_values(network), 1.0, 70)
        assert [round(row["E_total"], 9) for row in rows[:2]] == [first, second]
        assert len(rows) == 71


def test_the_error_falls_faster_at_the_higher_rate():
    network = Network()
    last = [train(network, starting_values(network), rate, 70)[-1]["E_total"] for rate in RATES]
    assert last == sorted(last) and tuple(sorted(RATES, reverse=True)) == RATES


@given(networks_and_starts())
def test_both_passes_agree_with_autograd(case):
    network, start = case
    row = backward(network, forward(network, start))
    error, slopes, by_outputs = autograd(network, start)
    assert math.isclose(row["E_total"], error, rel_tol=1e-12, abs_tol=1e-15)
    # Near a_o = t the two terms of a derivative cancel, in autograd's formula as in ours: relative to the terms.
    size = max(abs(row["∂E/∂a_o1"]), abs(row["∂E/∂a_o2"])) or 1.0
    for k in (1, 2):
        assert math.isclose(row[f"∂E/∂o{k}"], by_outputs[k - 1], rel_tol=1e-12, abs_tol=1e-12 * size)
    for name, slope in slopes.items():
        assert math.isclose(row[f"∂E/∂{name}"], slope, rel_tol=1e-12, abs_tol=1e-12 * size), name


@given(networks_and_starts())
def test_every_derivative_agrees_with_a_finite_difference(case):
    network, start = case
    row, step = backward(network, forward(network, start)), 1e-5
    for name in network.parameters:
        high, low = (forward(network, start | {name: start[name] + sign * step})["E_total"] for sign in (1, -1))
        assert math.isclose(row[f"∂E/∂{name}"], (high - low) / (2 * step), rel_tol=1e-6, abs_tol=1e-8), name


@given(networks_and_starts(), st.floats(0.01, 2))
def test_an_update_steps_down_each_gradient(case, rate):
    network, start = case
    before, after = train(network, start, rate, 1)
    for name in network.parameters:
        assert after[name] == before[name] - rate * before[f"∂E/∂{name}"]
    assert all(after[name] == start[name] for name in ("i1", "i2", "t1", "t2"))


def test_a_tiny_step_lowers_the_error():
    for output, loss in KINDS:
        network = Network(3, output, loss, biases=True)
        rows = train(network, starting_values(network), 1e-3, 5)
        errors = [row["E_total"] for row in rows]
        assert errors == sorted(errors, reverse=True) and len(set(errors)) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"hidden": 0}, "--hidden 0 is not between 1 and 8"),
        ({"hidden": 9}, "--hidden 9 is not between 1 and 8"),
        ({"output": "tanh"}, "--output 'tanh' is not one of softmax, sigmoid"),
        ({"loss": "hinge"}, "--loss 'hinge' is not one of squared, cross-entropy, binary-cross-entropy"),
        ({"loss": "cross-entropy", "output": "sigmoid"}, "Use --loss binary-cross-entropy, or --output softmax"),
        ({"loss": "binary-cross-entropy"}, "Use --loss cross-entropy, or --output sigmoid"),
    ],
)
def test_networks_that_cannot_be(arguments, words):
    with pytest.raises(ByHandError) as fault:
        Network(**arguments)
    assert words in str(fault.value)


@pytest.mark.parametrize(
    ("network", "values"),
    [
        (Network(), {"inputs": (100, 100), "weights": [-100.0] * 8}),                       # exp(20,000)
        (Network(loss="cross-entropy"), {"inputs": (0, 0), "weights": [0.0] * 4 + [100, 100, -100, -100]}),  # row 1
        (Network(output="sigmoid", loss="binary-cross-entropy"), {"weights": [0.0] * 4 + [100.0] * 4}),     # ln(0)
    ],
)
def test_numbers_that_a_spreadsheet_cannot_hold(network, values):
    with pytest.raises(ByHandError, match=r"--rate 1000 drives the numbers of row \d+ out of a spreadsheet's range"):
        train(network, starting_values(network, **values), 1000.0, 50)
