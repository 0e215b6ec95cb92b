"""Every number of a row as a formula that uses the names of earlier numbers.

The same list is used by the sheets (names become cells), the derivation (names stay) and the worked example (names
become numbers). The formulas do not use network.py, so that tests can check the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from featherweight.byhand.network import Network

GIVEN, FORWARD, ERROR = "inputs, targets, weights", "forward: from the inputs to the outputs", "error"
BACK, GRADIENT = "backward: from the error to the neurons", "gradients of the weights"


@dataclass(frozen=True)
class Quantity:
    """One number of a row."""

    name: str
    group: str
    meaning: str
    formula: str = ""       # uses names, exp and ln; empty for a starting value
    chain: str = ""         # for derivatives: the factors of the chain rule


def quantities(network: Network) -> list[Quantity]:
    """Return all numbers of a row, in the order of computation, which is the order of the sheet's columns."""
    return [*given(network), *forward(network), *errors(network), *back(network), *gradients(network)]


def given(network: Network) -> list[Quantity]:
    """Return the starting values: inputs, targets, weights and biases."""
    found = [Quantity(f"i{n}", GIVEN, f"Input {n}: the same in every row.") for n in (1, 2)]
    found += [Quantity(f"t{n}", GIVEN, f"Target {n}: what output {n} should become.") for n in (1, 2)]
    found += [Quantity(w, GIVEN, f"Weight from {start} to {end}.") for w, (start, end) in network.ends.items()]
    return found + [Quantity(b, GIVEN, f"Bias of {neuron}.") for neuron, b in network.bias_of.items()]


def forward(network: Network) -> list[Quantity]:
    """Return the numbers of the forward pass, from h1 to the activations of the outputs."""
    bias = {neuron: f" + {b}" for neuron, b in network.bias_of.items()}
    hidden, activated, outputs = [], [], []
    for j in network.hidden_neurons:
        w = network.into_hidden(j)
        total = f"{w[0]}*i1 + {w[1]}*i2" + bias.get(f"h{j}", "")
        hidden.append(Quantity(f"h{j}", FORWARD, f"Hidden neuron {j}: what flows into it.", total))
        activated.append(Quantity(f"a_h{j}", FORWARD, f"Activation of hidden neuron {j}: sigmoid.", sigmoid(f"h{j}")))
    for k in (1, 2):
        total = " + ".join(f"{w}*a_h{j}" for j, w in enumerate(network.into_output(k), 1)) + bias.get(f"o{k}", "")
        outputs.append(Quantity(f"o{k}", FORWARD, f"Output neuron {k}: what flows into it.", total))
    for k in (1, 2):
        formula = sigmoid(f"o{k}") if network.output == "sigmoid" else f"exp(o{k})/(exp(o1) + exp(o2))"
        outputs.append(Quantity(f"a_o{k}", FORWARD, f"Activation of output {k}: {network.output}.", formula))
    return hidden + activated + outputs


def sigmoid(name: str) -> str:
    """The formula for the sigmoid of `name`."""
    return f"1/(1 + exp(-{name}))"


def errors(network: Network) -> list[Quantity]:
    """Return the error of each output and the total error."""
    formula = {
        "squared": "1/2*(t{k} - a_o{k})^2",
        "cross-entropy": "-t{k}*ln(a_o{k})",
        "binary-cross-entropy": "-t{k}*ln(a_o{k}) - (1 - t{k})*ln(1 - a_o{k})",
    }[network.loss]
    each = [Quantity(f"E{k}", ERROR, f"Error of output {k}: {network.loss}.", formula.format(k=k)) for k in (1, 2)]
    return [*each, Quantity("E_total", ERROR, "The error that training makes small; the curve of Graphs.", "E1 + E2")]


def back(network: Network) -> list[Quantity]:
    """Return the derivatives of the error by each activation and neuron, from the outputs backwards."""
    slope = {
        "squared": "a_o{k} - t{k}",
        "cross-entropy": "-t{k}/a_o{k}",
        "binary-cross-entropy": "-t{k}/a_o{k} + (1 - t{k})/(1 - a_o{k})",
    }[network.loss]
    how = "How E_total changes with {}."
    found = [Quantity(f"∂E/∂a_o{k}", BACK, how.format(f"a_o{k}"), slope.format(k=k), f"∂E{k}/∂a_o{k}") for k in (1, 2)]
    for k, other in ((1, 2), (2, 1)):
        formula, chain = f"∂E/∂a_o{k}*a_o{k}*(1 - a_o{k})", f"∂E/∂a_o{k} · ∂a_o{k}/∂o{k}"
        if network.output == "softmax":
            formula += f" - ∂E/∂a_o{other}*a_o{other}*a_o{k}"
            chain += f" + ∂E/∂a_o{other} · ∂a_o{other}/∂o{k}"
        found.append(Quantity(f"∂E/∂o{k}", BACK, how.format(f"o{k}"), formula, chain))
    for j in network.hidden_neurons:
        w = network.out_of_hidden(j)
        formula, chain = f"∂E/∂o1*{w[0]} + ∂E/∂o2*{w[1]}", f"∂E/∂o1 · ∂o1/∂a_h{j} + ∂E/∂o2 · ∂o2/∂a_h{j}"
        found.append(Quantity(f"∂E/∂a_h{j}", BACK, how.format(f"a_h{j}"), formula, chain))
    for j in network.hidden_neurons:
        formula, chain = f"∂E/∂a_h{j}*a_h{j}*(1 - a_h{j})", f"∂E/∂a_h{j} · ∂a_h{j}/∂h{j}"
        found.append(Quantity(f"∂E/∂h{j}", BACK, how.format(f"h{j}"), formula, chain))
    return found


def gradients(network: Network) -> list[Quantity]:
    """Return the derivatives of the error by each weight and bias.

    For a weight: the derivative by the neuron it leads to, times the activation it is multiplied with.
    """
    how = "The gradient of {0}: the next row's {0} is {0} minus the rate times this."
    found = [
        Quantity(f"∂E/∂{w}", GRADIENT, how.format(w), f"∂E/∂{end}*{carried(start)}", f"∂E/∂{end} · ∂{end}/∂{w}")
        for w, (start, end) in network.ends.items()
    ]
    return found + [
        Quantity(f"∂E/∂{b}", GRADIENT, how.format(b), f"∂E/∂{neuron}", f"∂E/∂{neuron} · ∂{neuron}/∂{b}")
        for neuron, b in network.bias_of.items()
    ]


def carried(neuron: str) -> str:
    """Return the name of a neuron's output: i1 -> "i1", h1 -> "a_h1"."""
    return neuron if neuron[0] == "i" else f"a_{neuron}"


def replace_names(formula: str, names: Iterable[str], written: Callable[[str], str]) -> str:
    """Return the formula with each name replaced by written(name), such as a cell or a number."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.sub(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)", lambda m: written(m[0]), formula)
