"""The starting values of training: from the document, from the user, or random. All are validated here."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from featherweight.byhand.network import Network, Row
from featherweight.errors import ByHandError

START = ["i1", "i2", "t1", "t2"]        # followed by the parameters
INPUTS = (0.05, 0.10)
TARGETS = (0.01, 0.99)
WEIGHTS = (0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55)      # for two hidden neurons
HIDDEN_BIAS, OUTPUT_BIAS = 0.35, 0.60
RATES = (2.0, 1.0, 0.8, 0.5, 0.2, 0.1)
MOST_RATES, MOST_UPDATES, LARGEST_RATE, LARGEST_VALUE = 12, 5000, 1000, 100


def starting_values(
    network: Network,
    inputs: Sequence[float] = INPUTS,
    targets: Sequence[float] = TARGETS,
    weights: Sequence[float] | None = None,
    seed: int | None = None,
) -> Row:
    """Return i1, i2, t1, t2, w1, ..., b1, ... before the first update.

    weights: values for all weights, optionally followed by the biases. Default: see `drawn`.
    seed: draw random weights. Raises ByHandError, naming the value, for invalid values.
    """
    check("inputs", inputs, ["i1", "i2"], -LARGEST_VALUE, LARGEST_VALUE)
    check("targets", targets, ["t1", "t2"], 0, 1)
    if network.loss == "cross-entropy" and not math.isclose(sum(targets), 1, abs_tol=1e-9):
        raise ByHandError(f"--targets {listed(targets)} sum to {sum(targets):g}, and cross-entropy compares shares. "
                          "Use targets that sum to 1.")
    if weights is None:
        weights = drawn(network, seed)
    elif seed is not None:
        raise ByHandError(f"--seed {seed} draws the weights that --weights gives. Use one of the two.")
    names = network.parameters if len(weights) == len(network.parameters) else network.weights
    check("weights", weights, names, -LARGEST_VALUE, LARGEST_VALUE)
    parameters = [*weights, *usual_biases(network)][: len(network.parameters)]
    return dict(zip(START + network.parameters, [*inputs, *targets, *parameters], strict=True))


def usual_biases(network: Network) -> list[float]:
    """Return the default biases: 0.35 for hidden neurons, 0.60 for outputs. Empty without biases."""
    return [HIDDEN_BIAS] * network.hidden + [OUTPUT_BIAS] * 2 if network.biases else []


def drawn(network: Network, seed: int | None) -> Sequence[float]:
    """Return the document's weights for two hidden neurons without a seed. Else random weights.

    Random weights are uniform between -1 and 1, rounded to two decimals. The default seed is 1.
    """
    if seed is None and network.hidden == 2:
        return WEIGHTS
    source = random.Random(1 if seed is None else seed)
    return [round(source.uniform(-1, 1), 2) for _ in network.weights]


def check(option: str, values: Sequence[float], names: Sequence[str], low: float, high: float) -> None:
    """Raise ByHandError unless each name has a value between low and high."""
    if len(values) != len(names):
        raise ByHandError(f"--{option} {listed(values)} counts {len(values)}, and there are {len(names)} to give: "
                          f"{names[0]} to {names[-1]}. Separate them with commas.")
    for name, value in zip(names, values, strict=True):
        if not low <= value <= high:       # also refuses nan
            raise ByHandError(f"--{option}: {name} = {value:g} is not between {low:g} and {high:g}. Change that value.")


def check_rates(rates: Sequence[float]) -> None:
    """Raise ByHandError if a rate is not in (0, LARGEST_RATE], is given twice, or there are more than MOST_RATES."""
    for rate in rates:
        if not 0 < rate <= LARGEST_RATE:
            raise ByHandError(f"--rate {rate:g} is not above 0 and at most {LARGEST_RATE}. Try one from 0.1 to 2.")
        if rates.count(rate) > 1:
            raise ByHandError(f"--rate {rate:g} is given twice; each has a sheet of its own. Give it once.")
    if len(rates) > MOST_RATES:
        raise ByHandError(f"--rate is given {len(rates)} times, and a graph can show {MOST_RATES}. Leave some out.")


def check_updates(updates: int) -> None:
    """Raise ByHandError unless `updates` is between 1 and MOST_UPDATES."""
    if not 1 <= updates <= MOST_UPDATES:
        raise ByHandError(f"--updates {updates} is not between 1 and {MOST_UPDATES:,}. Try 70.")


def listed(values: Sequence[float]) -> str:
    """Values as text: (0.1, 0.2) -> "0.1,0.2"."""
    return ",".join(f"{value:g}" for value in values)


def rate_text(rate: float) -> str:
    """A learning rate as text: 2 -> "2.0", 0.25 -> "0.25"."""
    return f"{rate:.1f}" if round(rate, 1) == rate else f"{rate:.12g}"
