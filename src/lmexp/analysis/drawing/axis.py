"""One axis of a plot: from values to positions, with ticks at numbers that people count in.

Linear ticks stand at multiples of 1, 2, 2.5 or 5 times a power of ten (Heckbert, "Nice numbers for graph
labels", Graphics Gems, 1990). A logarithmic axis has its labels at 1, or at 1, 2 and 5 times, each power
of ten; one that spans less than that gets linear ticks on its logarithmic scale.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from lmexp.analysis.drawing.formats import tick
from lmexp.core.values.numbers import number

_LOG_FROM_RATIO = 30.0
_EQUAL = 1e-9
"""Values whose relative distance is less than this are one value on an axis."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """A range of values, its scale and its ticks as (value, label)."""

    low: float
    high: float
    log: bool
    ticks: tuple[tuple[float, str], ...]

    def position(self, value: float) -> float:
        """Return where a value stands, 0 at `low` and 1 at `high`."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)


def suits_log(values: Iterable[float]) -> bool:
    """Whether the values are positive and so far apart that only a logarithmic scale shows them all."""
    listed = list(values)
    return bool(listed) and min(listed) > 0 and max(listed) / min(listed) >= _LOG_FROM_RATIO


def make_axis(
    values: Sequence[float], *, log: bool = False, count: int = 5, pad: float = 0.0, low: float | None = None
) -> Axis:
    """Return an axis that holds all `values` (finite, at least one), about `count` ticks.

    `pad` is the share of the range that is left free at both ends; `low` is a value that must be on it.
    """
    least, greatest = min(values), max(values)
    if low is not None:
        least = min(least, low)
    if log:
        return _log_axis(least, greatest, count, pad)
    if math.isclose(least, greatest, rel_tol=_EQUAL):
        margin = abs(least) * 0.1 or 1.0
        return Axis(low=least - margin, high=least + margin, log=False, ticks=((least, number(least)),))
    margin = (greatest - least) * pad
    step = nice_step((greatest - least) / max(1, count))
    if step < 10 and all(value == int(value) for value in values):  # what is counted has no halves
        step = next(whole for whole in (1.0, 2.0, 5.0, 10.0) if whole >= step)
    below = least - margin
    if least >= 0 > below:  # what cannot be negative gets no negative part
        below = 0.0
    first, last = math.ceil(below / step - 1e-9), math.floor((greatest + margin) / step + 1e-9)
    ticks = tuple((i * step, tick(i * step, step)) for i in range(first, last + 1))
    return Axis(low=below, high=greatest + margin, log=False, ticks=ticks)


def nice_step(rough: float) -> float:
    """Return the least of 1, 2, 2.5, 5 or 10 times a power of ten that is not below `rough` (> 0)."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))


def category_axis(names: Sequence[str]) -> Axis:
    """Return an axis with one tick for each name, at 0, 1, 2 and so on."""
    return Axis(low=-0.5, high=len(names) - 0.5, log=False, ticks=tuple(enumerate(names)))


def _log_axis(least: float, greatest: float, count: int, pad: float) -> Axis:
    assert least > 0, "a logarithmic axis shows positive values"
    if math.isclose(least, greatest, rel_tol=_EQUAL):
        least, greatest = least / 2, greatest * 2
    margin = (greatest / least) ** pad
    low, high = least / margin, greatest * margin
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        values = [f * 10.0**e for e in decades for f in factors]
        inside = [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(inside) >= min(3, count):
            every = math.ceil(len(inside) / (count + 2))
            return Axis(low=low, high=high, log=True, ticks=tuple((v, tick(v)) for v in inside[::every]))
    step = nice_step((high - low) / max(1, count))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple((i * step, tick(i * step, step)) for i in range(first, last + 1) if i > 0)
    return Axis(low=low, high=high, log=True, ticks=ticks)
