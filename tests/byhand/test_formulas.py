"""The formulas in names: one for each number of a row, and each worth what the network computes."""

from __future__ import annotations

import math

import pytest

from featherweight.byhand import Network, starting_values, train
from featherweight.byhand.formulas import quantities, replace_names

NETWORKS = [
    Network(hidden, output, loss, biases)
    for hidden in (1, 2, 3, 8)
    for output, loss in (("softmax", "squared"), ("softmax", "cross-entropy"), ("sigmoid", "squared"),
                         ("sigmoid", "binary-cross-entropy"))
    for biases in (False, True)
]


def worth(formula, row):
    """The value of a formula in names."""
    python = replace_names(formula, row, lambda name: f"row[{name!r}]").replace("^", "**")
    return eval(python, {"row": row, "exp": math.exp, "ln": math.log})


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_each_formula_gives_the_networks_number(network):
    start = starting_values(network, inputs=(0.7, -1.2), targets=(0.2, 0.8), seed=3)
    row = train(network, start, 1.0, 3)[3]
    named = quantities(network)
    assert [quantity.name for quantity in named] == list(row)
    for quantity in named:
        if quantity.formula:
            assert math.isclose(worth(quantity.formula, row), row[quantity.name], rel_tol=1e-13), quantity
        else:
            assert quantity.name in start


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_formula_uses_only_numbers_before_it(network):
    before = set()
    names = [quantity.name for quantity in quantities(network)]
    for quantity in quantities(network):
        used = []
        replace_names(quantity.formula, names, lambda name, used=used: used.append(name) or name)
        assert set(used) <= before, quantity
        before.add(quantity.name)


def test_every_derivative_names_its_factors():
    for quantity in quantities(Network(3, biases=True)):
        assert bool(quantity.chain) == quantity.name.startswith("∂"), quantity
        assert quantity.meaning.endswith(".")
    chains = {quantity.name: quantity.chain for quantity in quantities(Network())}
    assert chains["∂E/∂w1"] == "∂E/∂h1 · ∂h1/∂w1"
    assert chains["∂E/∂a_h2"] == "∂E/∂o1 · ∂o1/∂a_h2 + ∂E/∂o2 · ∂o2/∂a_h2"
    assert chains["∂E/∂o1"] == "∂E/∂a_o1 · ∂a_o1/∂o1 + ∂E/∂a_o2 · ∂a_o2/∂o1"
    assert {q.name: q.chain for q in quantities(Network(output="sigmoid"))}["∂E/∂o1"] == "∂E/∂a_o1 · ∂a_o1/∂o1"


def test_names_are_replaced_whole():
    assert replace_names("w1*w12 + ∂E/∂w1*h1 - a_h1", ["w1", "w12", "h1", "a_h1", "∂E/∂w1"], str.upper) == (
        "W1*W12 + ∂E/∂W1*H1 - A_H1"
    )
    assert replace_names("exp(-h1)/h11", ["h1"], lambda _: "x") == "exp(-x)/h11"
