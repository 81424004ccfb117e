"""The interval of a paired difference: by hand, and bounds that it never leaves."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.evals.intervals import difference_interval


def test_differences_have_student_s_interval_with_one_degree_of_freedom_less_than_items():
    low, high = difference_interval([1, 0, 0, 0])  # a mean of 0.25 with a standard error of 0.25
    assert low == pytest.approx(0.25 - 3.182446 * 0.25, abs=1e-6)
    assert high == 1.0  # 1.0456, and no difference of shares is above 1
    assert difference_interval([-1, 0, 0, 0]) == pytest.approx((-1.0, -low))


def test_differences_that_are_all_equal_have_the_interval_of_agresti_and_min():
    """By hand, n = 8 and no pair that differs: cells + 1/2 give 0 +- 1.96 sqrt(1) / 10."""
    assert difference_interval([0] * 8) == pytest.approx((-0.1959964, 0.1959964))
    middle, half = 4 / 6, 1.959964 * math.sqrt(5 - 16 / 6) / 6  # n = 4, all better
    assert difference_interval([1] * 4) == pytest.approx((middle - half, 1.0))
    assert difference_interval([-1] * 4) == pytest.approx((-1.0, half - middle))


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=40))
def test_the_interval_of_a_difference_holds_it_has_width_and_stays_in_its_range(differences):
    low, high = difference_interval(differences)
    assert -1 <= low <= statistics.fmean(differences) + 1e-12
    assert statistics.fmean(differences) - 1e-12 <= high <= 1
    assert high - low > 0.01
