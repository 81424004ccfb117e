import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.analysis.drawing.formats import duration, measured, size, tick
from lmexp.core.values.numbers import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (3, "3"),
        (124439808, "124,439,808"),
        (7852.209, "7,852"),
        (2.909396, "2.909"),
        (0.00056291, "0.0005629"),
        (1.5e-9, "1.5e-9"),
        (math.nan, "not a number"),
        (-math.inf, "-infinity"),
    ],
)
def test_a_number_has_four_digits_and_a_whole_one_all(value, text):
    assert number(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_a_written_number_is_the_number_to_four_digits(value):
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=6e-4)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.26345, 0.0751, "1.263 ± 0.075"),
        (0.7, None, "0.700"),
        (7852.2, None, "7,852"),
        (0.5, 0.00012, "0.50000 ± 0.00012"),
        (math.nan, 0.1, "not a number"),
        (1.0, math.nan, "1.000"),
        (1.0, 0.0, "1.000 ± 0.000"),
    ],
)
def test_a_measured_value_stands_with_its_standard_error(value, error, text):
    assert measured(value, error) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_a_duration_is_in_its_own_units(seconds, text):
    assert duration(seconds) == text


def test_sizes_are_in_powers_of_a_thousand():
    assert [size(n) for n in (731, 1300, 9.9e6, 2e9, 3e12)] == [
        "731 B",
        "1.3 kB",
        "9.9 MB",
        "2.0 GB",
        "3.0 TB",
    ]


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.25, 0.25, "0.25"),
        (0.5, 0.25, "0.50"),
        (-0.0, 0.5, "0.0"),
        (20000, 5000, "20k"),
        (2500000, 500000, "2.5M"),
    ],
)
def test_a_tick_has_the_digits_that_its_step_needs(value, step, text):
    assert tick(value, step) == text
