"""The 95 % interval of a paired difference of two shares, cut to [-1, 1].

It is Student's t of the differences. Where all of them are equal their spread is 0 and says nothing: then the
interval is that of Agresti and Min (Statistics in Medicine 24, 2005), which adds half an item to each of the
four outcomes that a pair may have, so that few items that agree give a wide interval.
"""

import math
from collections.abc import Sequence

from lmexp.analysis.statistics.intervals import Interval, normal_quantile, t_interval


def difference_interval(differences: Sequence[float]) -> Interval:
    """Return the interval of the mean of one or more differences of two outcomes, each -1, 0 or 1."""
    n, first = len(differences), differences[0]
    interval = t_interval(differences) if any(d != first for d in differences) else None
    if interval is None:
        moved = n * first / (n + 2)
        half = normal_quantile() * math.sqrt(n * abs(first) + 1 - n * first * moved) / (n + 2)
        interval = min(first, moved - half), max(first, moved + half)
    return max(-1.0, interval[0]), min(1.0, interval[1])
