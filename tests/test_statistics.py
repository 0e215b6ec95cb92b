"""Intervals against published values, and what must hold of them for any values."""

from __future__ import annotations

from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.statistics import (
    bootstrap_interval,
    paired_difference,
    paired_shares,
    summarize_values,
    wilson_interval,
)

ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
SHARES = st.integers(1, 20_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_as_published(correct: int, count: int, low: float, high: float) -> None:
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    assert wilson_interval(correct, count) == pytest.approx((low, high), abs=5e-5)


@given(SHARES)
def test_wilson_interval_holds_the_share_and_stays_in_0_1(share: tuple[int, int]) -> None:
    correct, count = share
    low, high = wilson_interval(correct, count)
    assert 0 <= low <= correct / count + 1e-12
    assert correct / count - 1e-12 <= high <= 1
    assert low < high


@given(SHARES)
def test_wilson_interval_mirrors_right_and_wrong(share: tuple[int, int]) -> None:
    correct, count = share
    low, high = wilson_interval(correct, count)
    assert wilson_interval(count - correct, count) == pytest.approx((1 - high, 1 - low))


@given(SHARES)
def test_more_answers_are_surer(share: tuple[int, int]) -> None:
    correct, count = share
    (low, high), (low_10, high_10) = wilson_interval(correct, count), wilson_interval(10 * correct, 10 * count)
    assert high_10 - low_10 < high - low


@pytest.mark.parametrize(("correct", "count"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_wilson_interval_of_no_share(correct: int, count: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson_interval(correct, count)


@given(ACCURACIES)
def test_a_summary_is_what_the_standard_library_says(values: list[float]) -> None:
    summary = summarize_values(values)
    assert (summary.mean, summary.count) == (fmean(values), len(values))
    assert (summary.lowest, summary.highest) == (min(values), max(values))
    assert summary.spread == (stdev(values) if len(values) > 1 else 0.0)


def test_a_summary_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        summarize_values([])


@given(ACCURACIES)
def test_a_bootstrap_interval_lies_within_the_values_and_repeats(values: list[float]) -> None:
    low, high = bootstrap_interval(values, draws=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == bootstrap_interval(values, draws=200)


def test_a_bootstrap_interval_is_near_the_normal_one() -> None:
    """100 values, half 0 and half 1: the mean is 0.5 with a standard error of 0.05."""
    assert bootstrap_interval([0.0, 1.0] * 50) == pytest.approx((0.402, 0.598), abs=0.015)
    wide, narrow = bootstrap_interval([0.0, 1.0] * 50, level=0.99), bootstrap_interval([0.0, 1.0] * 50, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_paired_difference_is_second_minus_first() -> None:
    mean, (low, high) = paired_difference([0.1, 0.2, 0.3], [0.2, 0.3, 0.4])
    assert (mean, low, high) == pytest.approx((0.1, 0.1, 0.1))


def test_unequal_counts_do_not_pair() -> None:
    with pytest.raises(ValueError, match="3 and 2 values"):
        paired_difference([1, 2, 3], [1, 2])


def test_paired_shares_by_hand() -> None:
    """8 and 18 of 98 images: (19 - 9) / 100 ± 1.96 * sqrt((0.28 - 0.01) / 100)."""
    mean, (low, high) = paired_shares(8, 18, 98)
    assert mean == pytest.approx(10 / 98) and (low, high) == pytest.approx((0.1 - 0.10185, 0.1 + 0.10185), abs=1e-4)
    assert paired_shares(18, 8, 98)[1] == pytest.approx((-high, -low))


@pytest.mark.parametrize(("first", "second", "count"), [(1, 1, 1), (-1, 0, 5), (0, 0, 0)])
def test_paired_shares_of_no_images(first: int, second: int, count: int) -> None:
    with pytest.raises(ValueError, match="no shares"):
        paired_shares(first, second, count)
