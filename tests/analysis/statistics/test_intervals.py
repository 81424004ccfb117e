import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.analysis.statistics.intervals import (
    normal_interval,
    normal_quantile,
    t_interval,
    t_quantile,
    wilson_interval,
)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 0.9999))
def test_students_quantiles_are_those_that_are_known_in_closed_form(coverage):
    assert t_quantile(1, coverage) == pytest.approx(math.tan(math.pi * coverage / 2), rel=1e-9)
    two = coverage * math.sqrt(2 / (1 - coverage**2))
    assert t_quantile(2, coverage) == pytest.approx(two, rel=1e-9)
    assert t_quantile(1e5, coverage) == pytest.approx(normal_quantile(coverage), rel=2e-4)


@pytest.mark.parametrize(
    ("degrees", "expected"), [(3, 3.182446), (5, 2.570582), (10, 2.228139), (29, 2.045230), (120, 1.979930)]
)
def test_students_quantiles_are_those_of_the_printed_tables(degrees, expected):
    assert t_quantile(degrees) == pytest.approx(expected, abs=1e-6)


def test_wilsons_interval_is_that_of_examples_worked_by_hand():
    z2 = 1.959963984540054**2
    assert wilson_interval(0, 2) == (0.0, pytest.approx(z2 / (2 + z2)))
    assert wilson_interval(1, 2) == (pytest.approx(2 / (2 + z2)), 1.0)
    # the ends solve (p - x)^2 = z^2 x (1 - x) / n
    for end in wilson_interval(0.15, 20):
        assert (0.15 - end) ** 2 == pytest.approx(z2 * end * (1 - end) / 20)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilsons_interval_holds_the_share_and_stays_within_zero_and_one(right, items):
    share = min(right, items) / items
    low, high = wilson_interval(share, items)
    assert 0 <= low <= share <= high <= 1
    assert low < high


def test_intervals_of_means_cover_what_they_say():
    draw = random.Random(0)
    covered = 0
    for _ in range(2000):
        low, high = t_interval([draw.gauss(3, 2) for _ in range(4)])
        covered += low <= 3 <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)
    assert t_interval([1.0]) is None
    low, high = t_interval([1.0, 2.0, 4.0])
    margin = 4.302653 * statistics.stdev([1, 2, 4]) / math.sqrt(3)
    assert (low, high) == pytest.approx((7 / 3 - margin, 7 / 3 + margin), rel=1e-6)


def test_a_standard_error_that_is_missing_or_not_finite_gives_no_interval():
    assert normal_interval(1.0, None) is None
    assert normal_interval(1.0, math.nan) is None
    assert normal_interval(math.inf, 0.1) is None
    assert normal_interval(1.0, 0.5) == pytest.approx((0.02002, 1.97998), abs=1e-5)
