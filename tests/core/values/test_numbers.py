import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.values.numbers import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (5_365_591, "5,365,591"),
        (999_999_999_999_999, "999,999,999,999,999"),
        (10**15, "1e15"),
        (-(10**15), "-1e15"),
        (1234.5, "1,234"),
        (999.96, "1000"),
        (0.000012345, "1.234e-5"),
        (1e40, "1e40"),
        (10**40, "1e40"),
        (10**400, "1e400 or more"),
        (-(10**400), "-1e400 or more"),
        (math.nan, "not a number"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
        (True, "1"),
    ],
)
def test_a_number_is_written_in_few_digits(value, text):
    assert number(value) == text


@given(st.one_of(st.floats(), st.integers()))
def test_no_number_is_long(value):
    assert len(number(value)) <= 20
