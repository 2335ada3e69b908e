"""Whether a series grows: its slope, and the confidence interval of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Bytes of the smallest object of Python. If memory grows by less for each connection, no connection leaks an object:
#: the allocator has not settled yet.
SMALLEST = 16


@dataclass(frozen=True)
class Slope:
    """The growth of a series for each unit of its x, and the half-width of the 95 % confidence interval of that."""

    value: float
    error: float

    @property
    def grows(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.value > self.error

    def __str__(self) -> str:
        return f"{self.value:+.3g} ± {self.error:.2g}"


def slope(xs: Sequence[float], ys: Sequence[float]) -> Slope:
    """Fit a line by least squares, and return its slope.

    The memory of a process is mostly that of a moment ago, so neighbouring values are not independent measurements.
    Their effective number is reduced by the correlation of each residual with the next.
    """
    size = len(xs)
    if size < 4:
        return Slope(0.0, math.inf)
    x_mean, y_mean = sum(xs) / size, sum(ys) / size
    spread = sum((x - x_mean) ** 2 for x in xs)
    value = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    residuals = [y - y_mean - value * (x - x_mean) for x, y in zip(xs, ys, strict=True)]
    squares = sum(residual**2 for residual in residuals)
    if not squares:
        return Slope(value, 0.0)
    correlation = sum(a * b for a, b in pairwise(residuals)) / squares
    correlation = min(max(correlation, 0.0), 0.99)
    freedom = size * (1 - correlation) / (1 + correlation) - 2
    if freedom < 1:
        return Slope(value, math.inf)
    return Slope(value, _student(freedom) * math.sqrt(squares / freedom / spread))


def _student(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's distribution, by its expansion around the normal one."""
    z = 1.959964
    return z + (z**3 + z) / 4 / freedom + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / freedom**2
