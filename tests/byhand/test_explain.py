"""One update in numbers: every line is true, and fits the terminal."""

from __future__ import annotations

import math
import re

import pytest

from featherweight.byhand import Network, explain, starting_values, train

NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def explained(network, rate, width=80, **start):
    rows = train(network, starting_values(network, **start), rate, 1)
    return rows, explain(network, rows, rate, width)


@pytest.mark.parametrize(
    "network",
    [Network(), Network(output="sigmoid"), Network(3, biases=True), Network(1, loss="cross-entropy"),
     Network(8, "sigmoid", "binary-cross-entropy")],
    ids=str,
)
def test_every_equation_of_numbers_holds(network):
    """Unwrapped, each derivation ends in "= formula in numbers = value"; computed, the two are equal to 4 digits."""
    rows, text = explained(network, 0.5, width=10_000, seed=4)
    checked = 0
    for line in text.partition("\n\n")[2].splitlines():
        parts = line.strip().split(" = ")
        if len(parts) > 1:
            assert re.fullmatch(NUMBER, parts[-1]), line
            worth = eval(parts[-2].replace("^", "**"), {"exp": math.exp, "ln": math.log})
            assert math.isclose(worth, float(parts[-1]), rel_tol=1e-3, abs_tol=1e-7), line
            checked += 1
    assert checked == len(rows[0]) - 4      # all but inputs and targets: each parameter once, in its step


def test_it_names_the_factors_and_the_new_weights():
    rows, text = explained(Network(), 0.5)
    assert "∂E/∂w5 = ∂E/∂o1 · ∂o1/∂w5 = ∂E/∂o1*a_h1 = 0.231692*0.506875 = 0.117438803" in text
    assert f"new w5 = w5 - rate*∂E/∂w5 = 0.4 - 0.5*0.117439 = {rows[1]['w5']:.9f}" in text
    assert f"E_total goes from 0.215838734 to {rows[1]['E_total']:.9f}." in text
    assert re.findall(r"^[A-Z].*", text, re.M)[0] == "The starting values"


def test_each_parameter_has_its_gradient_and_its_step():
    network = Network(3, biases=True)
    _, text = explained(network, 1.0)
    for name in network.parameters:
        assert text.count(f"  ∂E/∂{name} = ") == 1 and text.count(f"  new {name} = ") == 1


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("network", [Network(), Network(8, biases=True)], ids=str)
def test_lines_fit_the_width(network, width):
    _, text = explained(network, 2.0, width)
    assert max(map(len, text.splitlines())) <= width


def test_negative_numbers_stand_in_parentheses():
    _, text = explained(Network(), 0.5, weights=[-0.1, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.55])
    assert "h1 = w1*i1 + w2*i2 = (-0.1)*0.05 + 0.2*0.1 = 0.015" in text
