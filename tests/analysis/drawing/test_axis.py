import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lmexp.analysis.drawing.axis import category_axis, make_axis, nice_step, suits_log

VALUES = st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=1, max_size=20)
POSITIVE = st.lists(st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=20)


def spelt(label: str) -> float:
    """Return the number that a label stands for."""
    scale = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(label[-1], 1.0)
    return float(label.rstrip("kMGT").replace(",", "")) * scale


@given(VALUES, st.sampled_from([0.0, 0.06]))
def test_every_value_and_every_tick_lies_on_a_linear_axis(values, pad):
    spread = max(values) - min(values)
    assume(spread == 0 or spread > 1e-6 * max(abs(v) for v in values))
    axis = make_axis(values, pad=pad)
    assert all(-1e-9 <= axis.position(v) <= 1 + 1e-9 for v in values)
    assert all(-1e-6 <= axis.position(v) <= 1 + 1e-6 for v, _ in axis.ticks)
    assert 1 <= len(axis.ticks) <= 12


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=2, max_size=5))
def test_labels_of_ticks_say_where_the_ticks_are(values):
    assume(max(values) - min(values) > 1e-3 * max(1.0, *(abs(v) for v in values)))
    axis = make_axis(values)
    labels = [label for _, label in axis.ticks]
    assert len(set(labels)) == len(labels)
    gap = min((b - a for (a, _), (b, _) in zip(axis.ticks, axis.ticks[1:], strict=False)), default=1.0)
    assert all(abs(spelt(label) - value) <= 0.01 * gap for value, label in axis.ticks)


@given(POSITIVE)
def test_every_value_lies_on_a_logarithmic_axis_with_ticks(values):
    axis = make_axis(values, log=True, pad=0.06)
    assert axis.log
    assert all(-1e-9 <= axis.position(v) <= 1 + 1e-9 for v in values)
    assert all(-1e-6 <= axis.position(v) <= 1 + 1e-6 for v, _ in axis.ticks)
    assert 1 <= len(axis.ticks) <= 12


def test_equal_factors_are_equal_distances_on_a_logarithmic_axis():
    axis = make_axis([1e-4, 1e-2], log=True)
    assert [axis.position(v) for v in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    assert [label for _, label in axis.ticks] == ["0.0001", "0.001", "0.01"]


@pytest.mark.parametrize(
    ("rough", "nice"), [(1, 1), (1.01, 2), (0.021, 0.025), (3, 5), (70, 100), (1e-7, 1e-7)]
)
def test_steps_are_numbers_that_people_count_in(rough, nice):
    assert nice_step(rough) == pytest.approx(nice)


def test_what_is_counted_has_no_halves():
    assert [label for _, label in make_axis([1, 4]).ticks] == ["1", "2", "3", "4"]


def test_what_cannot_be_negative_gets_no_negative_part():
    assert make_axis([0.0, 1.0], pad=0.1).low == 0
    assert make_axis([-1.0, 1.0], pad=0.1).low == pytest.approx(-1.2)


def test_a_logarithmic_scale_suits_positive_values_far_apart():
    assert suits_log([1, 30])
    assert not suits_log([1, 29])
    assert not suits_log([0, 1000])
    assert not suits_log([])


def test_names_stand_at_equal_distances():
    axis = category_axis(["a", "b"])
    assert [axis.position(v) for v, _ in axis.ticks] == [0.25, 0.75]
    assert math.isclose(axis.position(0.5), 0.5)
