import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.analysis.statistics.thin import finite_parts, smoothed, thin

YS = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=3000)


@given(YS, st.integers(4, 300))
def test_a_thinned_curve_keeps_its_ends_its_order_and_its_extremes(ys, limit):
    points = [(float(i), y) for i, y in enumerate(ys)]
    kept = thin(points, limit)
    assert len(kept) <= max(limit, 4)
    assert kept == sorted(set(kept))
    assert set(kept) <= set(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (min(y for _, y in kept), max(y for _, y in kept)) == (min(ys), max(ys))


def test_a_spike_of_one_step_is_always_kept():
    points = [(float(i), 1.0) for i in range(100_000)]
    points[54_321] = (54_321.0, 9.0)
    assert (54_321.0, 9.0) in thin(points)


def test_what_is_not_finite_breaks_a_curve():
    points = [(0, math.nan), (1, 1), (2, 2), (3, math.inf), (4, 4), (math.nan, 5)]
    assert finite_parts(points) == [[(1, 1), (2, 2)], [(4, 4)]]
    assert finite_parts([]) == []


def test_smoothing_is_the_mean_of_neighbours():
    points = [(float(i), float(i % 2)) for i in range(100)]
    means = smoothed(points, 10)
    assert means[0] == (4.5, 0.5)
    assert means[1] == (pytest.approx(9.5), 0.5)
    assert smoothed([(1.0, 5.0)], 2) == []
