"""Numbers out of repeated measurements. Nothing here measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The median of some rounds, and the least and the most of them."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Raise `ValueError` without values."""
        if not values:
            raise ValueError("There is nothing to summarize: no round was measured.")
        return cls(median=statistics.median(values), least=min(values), most=max(values), rounds=len(values))


@dataclass(frozen=True, kw_only=True)
class Power:
    """value = factor * size^exponent."""

    factor: float
    exponent: float

    def at(self, size: float) -> float:
        return self.factor * math.pow(size, self.exponent)


def fit_power(values: Mapping[int, float]) -> Power | None:
    """The power law that least squares find in the logarithms of size -> value; None for fewer than two sizes."""
    if len(values) < 2:
        return None
    x = [math.log(size) for size in values]
    y = [math.log(value) for value in values.values()]
    slope, intercept = statistics.linear_regression(x, y)
    return Power(factor=math.exp(intercept), exponent=slope)


def slope(values: Mapping[int, float]) -> float | None:
    """What one more costs between the smallest and the largest size: the fixed cost of a start does not count."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    return (values[high] - values[low]) / (high - low)
