"""Intervals of what was measured on few or many units.

A share of items gets Wilson's score interval (Wilson 1927, "Probable inference, the law of succession, and
statistical inference"), which stays within 0 and 1 and has a width where all items are right or none is. A
mean over units gets Student's t. Both cover 95 % unless told otherwise.
"""

import functools
import math
import statistics
from collections.abc import Sequence

Interval = tuple[float, float]
"""The low and the high end."""
COVERAGE = 0.95
_TINY = 1e-300


def wilson_interval(share: float, num_items: float, coverage: float = COVERAGE) -> Interval:
    """Return Wilson's score interval of a share of `num_items` (at least one) independent items.

    With z standard deviations it is (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    """
    z = normal_quantile(coverage)
    shrink = 1 + z * z / num_items
    middle = (share + z * z / (2 * num_items)) / shrink
    spread = share * (1 - share) / num_items + z * z / (4 * num_items * num_items)
    margin = z / shrink * math.sqrt(max(0.0, spread))
    low = 0.0 if share <= 0 else max(0.0, middle - margin)
    return low, 1.0 if share >= 1 else min(1.0, middle + margin)


def normal_interval(value: float, error: float | None, coverage: float = COVERAGE) -> Interval | None:
    """Return the interval of a value with a standard error of many units; None without a finite error."""
    if error is None or not math.isfinite(error) or not math.isfinite(value):
        return None
    margin = normal_quantile(coverage) * error
    return value - margin, value + margin


def t_interval(values: Sequence[float], coverage: float = COVERAGE) -> Interval | None:
    """Return the interval of the mean of independent values; None for fewer than two."""
    if len(values) < 2:
        return None
    mean, n = statistics.fmean(values), len(values)
    margin = t_quantile(n - 1, coverage) * statistics.stdev(values) / math.sqrt(n)
    return mean - margin, mean + margin


def normal_quantile(coverage: float = COVERAGE) -> float:
    """Return z with P(|Z| <= z) = `coverage` for a standard normal Z."""
    return statistics.NormalDist().inv_cdf((1 + coverage) / 2)


@functools.lru_cache(maxsize=1024)
def t_quantile(degrees: float, coverage: float = COVERAGE) -> float:
    """Return t with P(|T| <= t) = `coverage` for Student's T of `degrees` (> 0, not only whole) of freedom.

    By bisection of P(|T| > t) = I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + t²), with I the
    regularised incomplete beta function.
    """
    low, high = 0.0, 1.0
    while _beyond(high, degrees) > 1 - coverage:
        high *= 2
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if _beyond(middle, degrees) > 1 - coverage else (low, middle)
    return high


def _beyond(t: float, degrees: float) -> float:
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return I_x(a, b), by the continued fraction of Abramowitz and Stegun, 26.5.8."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction of the mirror image converges faster
        return 1 - _incomplete_beta(1 - x, b, a)
    log_front = a * math.log(x) + b * math.log1p(-x)
    log_front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return 1 / (1 + d1 / (1 + d2 / (1 + ...))), evaluated forwards (the method of Lentz)."""
    value, c, d = 1.0, 1.0, 0.0
    for i in range(1, 100_000):
        m = i // 2
        numerator = (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            if i % 2 == 0
            else -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        )
        d = 1 / _away_from_zero(1 + numerator * d)
        c = _away_from_zero(1 + numerator / c)
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return 1 / value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
