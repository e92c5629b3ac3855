"""Medians, spreads and exponents are those of the numbers."""

from __future__ import annotations

import pytest

from benchmarks.statistic import Summary, fit_power, slope


def test_a_summary_has_the_median_and_the_extremes():
    assert Summary.of([3.0, 1.0, 2.0, 10.0, 2.5]) == Summary(median=2.5, least=1.0, most=10.0, rounds=5)


def test_nothing_cannot_be_summarized():
    with pytest.raises(ValueError, match="no round was measured"):
        Summary.of([])


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent):
    power = fit_power({size: 0.3 * size**exponent for size in (10, 100, 1000)})
    assert power.exponent == pytest.approx(exponent)
    assert power.factor == pytest.approx(0.3)


def test_the_exponent_is_that_of_least_squares_in_logarithms():
    # Decades: logarithms 1, 2, 3 against 1, 3, 3; the slope of least squares is 1.
    assert fit_power({10: 10.0, 100: 1000.0, 1000: 1000.0}).exponent == pytest.approx(1.0)


def test_one_size_has_no_exponent():
    assert fit_power({10: 1.0}) is None
    assert slope({10: 1.0}) is None


def test_what_one_more_costs_leaves_out_the_fixed_cost():
    assert slope({10: 5.0 + 0.2 * 10, 100: 5.0 + 0.2 * 100}) == pytest.approx(0.2)
