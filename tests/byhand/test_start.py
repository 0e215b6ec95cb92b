"""Starting values: the document's, given ones, drawn ones, and one line for each that cannot be."""

from __future__ import annotations

import pytest

from featherweight.byhand import Network, check_rates, check_updates, rate_text, starting_values
from featherweight.errors import ByHandError


def test_the_documents_values():
    assert starting_values(Network()) == {
        "i1": 0.05, "i2": 0.10, "t1": 0.01, "t2": 0.99,
        "w1": 0.15, "w2": 0.20, "w3": 0.25, "w4": 0.30, "w5": 0.40, "w6": 0.45, "w7": 0.50, "w8": 0.55,
    }


def test_biases_follow_the_weights_given_or_usual():
    network = Network(biases=True)
    usual = starting_values(network)
    assert list(usual)[4:] == [f"w{n}" for n in range(1, 9)] + ["b1", "b2", "b3", "b4"]
    assert [usual[b] for b in ("b1", "b2", "b3", "b4")] == [0.35, 0.35, 0.60, 0.60]
    given = starting_values(network, weights=[*range(1, 9), 10, 20, 30, 40])
    assert (given["w8"], given["b1"], given["b4"]) == (8, 10, 40)
    assert starting_values(network, weights=list(range(1, 9)))["b3"] == 0.60


@pytest.mark.parametrize("hidden", range(1, 9))
def test_weights_are_drawn_from_the_seed(hidden):
    network = Network(hidden)
    drawn = starting_values(network, seed=7)
    assert drawn == starting_values(network, seed=7) != starting_values(network, seed=8)
    assert len(drawn) == 4 + 4 * hidden
    assert all(-1 <= drawn[w] <= 1 and round(drawn[w], 2) == drawn[w] for w in network.weights)
    assert (starting_values(network) == starting_values(network, seed=1)) == (hidden != 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": (0.1,)}, "--inputs 0.1 counts 1, and there are 2 to give: i1 to i2"),
        ({"inputs": (0.1, 101)}, "--inputs: i2 = 101 is not between -100 and 100"),
        ({"inputs": (0.1, float("nan"))}, "--inputs: i2 = nan is not between"),
        ({"targets": (0.5, 1.5)}, "--targets: t2 = 1.5 is not between 0 and 1"),
        ({"weights": [1.0] * 9}, "counts 9, and there are 8 to give: w1 to w8"),
        ({"weights": [1.0] * 7 + [float("inf")]}, "--weights: w8 = inf is not between"),
        ({"weights": [1.0] * 8, "seed": 3}, "--seed 3 draws the weights that --weights gives"),
    ],
)
def test_values_that_cannot_be(arguments, words):
    with pytest.raises(ByHandError) as fault:
        starting_values(Network(), **arguments)
    assert words in str(fault.value) and "\n" not in str(fault.value)


def test_cross_entropy_compares_shares():
    network = Network(loss="cross-entropy")
    with pytest.raises(ByHandError, match=r"--targets 0\.5,0\.6 sum to 1\.1"):
        starting_values(network, targets=(0.5, 0.6))
    starting_values(network, targets=(0.1, 0.9))


@pytest.mark.parametrize("rates", [[0.0], [-1.0], [float("nan")], [float("inf")], [1001.0], [2.0, 2.0], [0.1] * 2])
def test_rates_that_cannot_be(rates):
    with pytest.raises(ByHandError, match=f"--rate {rates[0]:g} is"):
        check_rates(rates)


def test_as_many_rates_and_updates_as_a_book_can_show():
    check_rates([float(n) for n in range(1, 13)])
    with pytest.raises(ByHandError, match="13 times, and a graph can show 12"):
        check_rates([float(n) for n in range(1, 14)])
    check_updates(1)
    check_updates(5000)
    for updates in (0, -1, 5001):
        with pytest.raises(ByHandError, match=f"--updates {updates} is not between 1 and 5,000"):
            check_updates(updates)


def test_rates_as_the_document_writes_them():
    assert [rate_text(rate) for rate in (2, 1.0, 0.8, 0.25, 0.001)] == ["2.0", "1.0", "0.8", "0.25", "0.001"]
