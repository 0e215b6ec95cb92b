"""A network small enough to train by hand: two inputs, a few hidden neurons, two outputs.

Forward and backward pass are written out number by number, without autograd. Names are those of the document:
i1, w1, h1, a_h1 (the activation of h1), o1, a_o1, E1, E_total, ∂E/∂w1. Source: document 003, part 1.

    i1 --w1--> h1 -> a_h1 --w5--> o1 -> a_o1 -- t1 --> E1 \\
       \\w2 /w3               \\w6 /w7                         E_total
    i2 --w4--> h2 -> a_h2 --w8--> o2 -> a_o2 -- t2 --> E2 /
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from featherweight.errors import ByHandError

Row = dict[str, float]      # name -> number, in the order of computation
OUTPUTS = ("softmax", "sigmoid")
LOSSES = ("squared", "cross-entropy", "binary-cross-entropy")


@dataclass(frozen=True)
class Network:
    """The architecture of a network. Hidden neurons are sigmoid.

    Raises ByHandError for an invalid value, or a loss that does not fit the output.
    """

    hidden: int = 2
    output: str = "softmax"
    loss: str = "squared"
    biases: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.hidden <= 8:
            raise ByHandError(f"--hidden {self.hidden} is not between 1 and 8, what a sheet can show. Use --hidden 2.")
        for option, value, allowed in (("output", self.output, OUTPUTS), ("loss", self.loss, LOSSES)):
            if value not in allowed:
                raise ByHandError(f"--{option} {value!r} is not one of {', '.join(allowed)}.")
        if self.loss == "cross-entropy" and self.output == "sigmoid":
            raise ByHandError("--loss cross-entropy needs outputs that sum to one, and sigmoid outputs do not. "
                              "Use --loss binary-cross-entropy, or --output softmax.")
        if self.loss == "binary-cross-entropy" and self.output == "softmax":
            raise ByHandError("--loss binary-cross-entropy judges each output alone, and softmax outputs depend on "
                              "each other. Use --loss cross-entropy, or --output sigmoid.")

    @property
    def hidden_neurons(self) -> range:
        """Numbers of the hidden neurons: 1, 2, ..."""
        return range(1, self.hidden + 1)

    @property
    def ends(self) -> dict[str, tuple[str, str]]:
        """Weight -> (neuron it starts from, neuron it leads to): w1 -> (i1, h1)."""
        into_hidden = [(f"i{i}", f"h{j}") for j in self.hidden_neurons for i in (1, 2)]
        into_outputs = [(f"h{j}", f"o{k}") for k in (1, 2) for j in self.hidden_neurons]
        return {f"w{number}": ends for number, ends in enumerate(into_hidden + into_outputs, start=1)}

    @property
    def bias_of(self) -> dict[str, str]:
        """Neuron -> its bias: h1 -> b1. Hidden neurons first, then outputs. Empty without biases."""
        neurons = [*(f"h{j}" for j in self.hidden_neurons), "o1", "o2"] if self.biases else []
        return {neuron: f"b{number}" for number, neuron in enumerate(neurons, start=1)}

    @property
    def weights(self) -> list[str]:
        """Names of the weights: w1, w2, ..."""
        return list(self.ends)

    @property
    def parameters(self) -> list[str]:
        """Names of the trainable parameters: the weights, then the biases."""
        return [*self.ends, *self.bias_of.values()]

    def into_hidden(self, j: int) -> list[str]:
        """Names of the weights from i1 and i2 into hidden neuron j: w1, w2 for the first."""
        return self.weights[2 * (j - 1) : 2 * j]

    def into_output(self, k: int) -> list[str]:
        """Names of the weights from a_h1, a_h2, ... into output k. With two hidden neurons: w5, w6 for o1."""
        return self.weights[2 * self.hidden + (k - 1) * self.hidden :][: self.hidden]

    def out_of_hidden(self, j: int) -> list[str]:
        """Names of the weights from a_hj into o1 and o2. With two hidden neurons: w5, w7 for a_h1."""
        return [self.into_output(k)[j - 1] for k in (1, 2)]


def forward(network: Network, given: Mapping[str, float]) -> Row:
    """Run the forward pass. given: inputs, targets, parameters.

    Returns `given` with h, a_h, o, a_o, E1, E2 and E_total added.
    """
    v = dict(given)
    for j in network.hidden_neurons:
        from_i1, from_i2 = network.into_hidden(j)
        v[f"h{j}"] = v[from_i1] * v["i1"] + v[from_i2] * v["i2"]
        if network.biases:
            v[f"h{j}"] += v[network.bias_of[f"h{j}"]]
    for j in network.hidden_neurons:
        v[f"a_h{j}"] = sigmoid(v[f"h{j}"])
    for k in (1, 2):
        v[f"o{k}"] = sum(v[w] * v[f"a_h{j}"] for j, w in enumerate(network.into_output(k), start=1))
        if network.biases:
            v[f"o{k}"] += v[network.bias_of[f"o{k}"]]
    for k in (1, 2):
        v[f"a_o{k}"] = sigmoid(v[f"o{k}"]) if network.output == "sigmoid" else softmax(v[f"o{k}"], v["o1"], v["o2"])
    for k in (1, 2):
        v[f"E{k}"] = error(network.loss, v[f"t{k}"], v[f"a_o{k}"])
    v["E_total"] = v["E1"] + v["E2"]
    return v


def backward(network: Network, known: Mapping[str, float]) -> Row:
    """Run the backward pass. known: a row after the forward pass.

    Returns `known` with the derivatives of E_total added, from the outputs back to the weights.
    """
    v = dict(known)
    for k in (1, 2):
        v[f"∂E/∂a_o{k}"] = error_slope(network.loss, v[f"t{k}"], v[f"a_o{k}"])
    for k, other in ((1, 2), (2, 1)):
        v[f"∂E/∂o{k}"] = v[f"∂E/∂a_o{k}"] * v[f"a_o{k}"] * (1 - v[f"a_o{k}"])
        if network.output == "softmax":     # raising o1 lowers a_o2 as well
            v[f"∂E/∂o{k}"] -= v[f"∂E/∂a_o{other}"] * v[f"a_o{other}"] * v[f"a_o{k}"]
    for j in network.hidden_neurons:
        to_o1, to_o2 = network.out_of_hidden(j)
        v[f"∂E/∂a_h{j}"] = v["∂E/∂o1"] * v[to_o1] + v["∂E/∂o2"] * v[to_o2]
    for j in network.hidden_neurons:
        v[f"∂E/∂h{j}"] = v[f"∂E/∂a_h{j}"] * v[f"a_h{j}"] * (1 - v[f"a_h{j}"])
    for j in network.hidden_neurons:
        for i, w in enumerate(network.into_hidden(j), start=1):
            v[f"∂E/∂{w}"] = v[f"∂E/∂h{j}"] * v[f"i{i}"]
    for k in (1, 2):
        for j, w in enumerate(network.into_output(k), start=1):
            v[f"∂E/∂{w}"] = v[f"∂E/∂o{k}"] * v[f"a_h{j}"]
    for neuron, b in network.bias_of.items():
        v[f"∂E/∂{b}"] = v[f"∂E/∂{neuron}"]
    return v


def update(network: Network, row: Mapping[str, float], rate: float) -> Row:
    """Return inputs, targets and the parameters after one gradient step. row: a row after the backward pass."""
    given = {name: row[name] for name in ("i1", "i2", "t1", "t2")}
    return given | {name: row[name] - rate * row[f"∂E/∂{name}"] for name in network.parameters}


def train(network: Network, start: Mapping[str, float], rate: float, updates: int) -> list[Row]:
    """Train for `updates` updates. Return rows 0 to `updates`; row n is the state before update n.

    Raises ByHandError if a number exceeds the range of a spreadsheet.
    """
    rows: list[Row] = []
    given = dict(start)
    for n in range(updates + 1):
        try:
            row = backward(network, forward(network, given))
        except ArithmeticError:
            row = {"E_total": math.inf}
        if not all(map(math.isfinite, row.values())):
            raise ByHandError(f"--rate {rate:g} drives the numbers of row {n} out of a spreadsheet's range. "
                              "Use a smaller --rate, or --weights and --inputs nearer to zero.")
        rows.append(row)
        given = update(network, row, rate)
    return rows


def sigmoid(x: float) -> float:
    """The logistic function of x, between 0 and 1."""
    return 1 / (1 + math.exp(-x))


def softmax(x: float, o1: float, o2: float) -> float:
    """The softmax of x over (o1, o2). x is one of the two."""
    return math.exp(x) / (math.exp(o1) + math.exp(o2))


def error(loss: str, target: float, activation: float) -> float:
    """The error of one output."""
    if loss == "squared":
        return (target - activation) ** 2 / 2
    if loss == "cross-entropy":
        return -target * log(activation)
    return -target * log(activation) - (1 - target) * log(1 - activation)


def error_slope(loss: str, target: float, activation: float) -> float:
    """The derivative of the error of one output by its activation."""
    if loss == "squared":
        return activation - target
    if loss == "cross-entropy":
        return -target / activation
    return -target / activation + (1 - target) / (1 - activation)


def log(x: float) -> float:
    """The natural logarithm. Raises ArithmeticError for x <= 0, as for overflows, which train reports."""
    if x <= 0:
        raise ArithmeticError
    return math.log(x)
