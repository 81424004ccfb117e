"""How numbers are written: four significant digits, thousands apart, durations in their own units."""

import math

from lmexp.analysis.statistics.intervals import Interval
from lmexp.core.values.numbers import number, tidy

NO_RESULT = "no result"
"""What stands where a number would, of a run that did not come to it."""


def measured(value: float, error: float | None) -> str:
    """Return ``1.263 ± 0.075``, three decimals at least; without an error the value alone."""
    if not math.isfinite(value):
        return number(value)
    if error is None or not math.isfinite(error):
        return f"{value:.3f}" if 0.001 <= abs(value) < 1000 else number(value)
    if max(abs(value), error) >= 1e6:
        return f"{number(value)} ± {number(error)}"
    decimals = 3 if error == 0 or error >= 0.001 else min(8, -math.floor(math.log10(error)) + 1)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def short(value: float, error: float | None = None) -> str:
    """Return a whole number as one, without an error, and any other as `measured`."""
    return number(value) if error is None and float(value).is_integer() else measured(value, error)


def ranged(value: float, interval: Interval | None) -> str:
    """Return ``0.500 [0.237, 0.763]``, a value with its interval; without one the value alone."""
    if interval is None or not math.isfinite(value) or not all(map(math.isfinite, interval)):
        return measured(value, None)
    if max(map(abs, (value, *interval))) >= 1e6:
        return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"
    width = interval[1] - interval[0]
    decimals = 3 if width >= 0.002 or width <= 0 else min(8, 1 - math.floor(math.log10(width)))
    low, high = (f"{end:.{decimals}f}" for end in interval)
    return f"{value:.{decimals}f} [{low}, {high}]"


def tick(value: float, step: float | None = None) -> str:
    """Return the label of a tick: as few digits as tell it from its neighbours `step` away."""
    size = max(abs(value), abs(step or 0.0))
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            scale = 1e3 if letter == "k" else limit
            return f"{_plain(value / scale, step / scale if step else None)}{letter if value else ''}"
    if value and (size < 1e-3):
        return tidy(f"{value:.3g}")
    return _plain(value, step)


def duration(seconds: float) -> str:
    """Return ``0.8 s``, ``45 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: float) -> str:
    """Return ``731 B``, ``1.3 MB``: powers of 1000."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= limit:
            return f"{num_bytes / limit:.1f} {unit}"
    return f"{num_bytes:.0f} B"


def _plain(value: float, step: float | None) -> str:
    if step is None:
        return tidy(f"{value:.4g}")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    while decimals < 8 and abs(round(step, decimals) - step) > 1e-9 * step:  # a step of 0.25 needs two
        decimals += 1
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
