"""Rungs: who goes on, and how well the first rung orders the candidates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from featherweight.search.rungs import Rung, epochs_of_rungs, rank_correlation


@pytest.mark.parametrize(("epochs", "rungs"), [(15, [2, 5, 15]), (1, [1]), (2, [1, 2]), (9, [1, 3, 9])])
def test_epochs(epochs, rungs):
    assert epochs_of_rungs(epochs) == rungs


def test_the_best_third_goes_on():
    rung = Rung()
    for number, accuracy in enumerate([0.5, 0.9, 0.7]):
        assert rung.promotable() is None
        rung.add(number, accuracy)
    assert rung.promotable() == 1
    rung.gone.add(1)
    assert rung.promotable() is None and rung.promotable(at_least=2) == 2
    for number in (3, 4, 5):
        rung.add(number, 0.95)
    assert rung.promotable() == 3       # of equal ones the first


PAIRS = st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4]), st.floats(0, 1))


@given(st.dictionaries(st.integers(0, 30), PAIRS, min_size=3))
def test_rank_correlation_is_spearmans(pairs):
    first, last = ({number: pair[side] for number, pair in pairs.items()} for side in (0, 1))
    found = rank_correlation(first, last)
    if len(set(first.values())) == 1 or len(set(last.values())) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(list(first.values()), list(last.values())).statistic)


def test_too_few_for_a_correlation():
    assert rank_correlation({1: 0.5, 2: 0.6}, {1: 0.5, 2: 0.6}) is None
