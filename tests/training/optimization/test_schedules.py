"""The learning rate: properties that hold for every schedule, and values worked out by hand."""

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmexp.training.optimization.config import ScheduleConfig
from lmexp.training.optimization.schedules import lr_ratio


@st.composite
def schedules(draw):
    max_steps = draw(st.integers(1, 300))
    config = ScheduleConfig(
        name=draw(st.sampled_from(["cosine", "wsd", "stairs"])),
        warmup_steps=draw(st.integers(0, max_steps)),
        decay_fraction=draw(st.floats(0, 1)),
        min_lr_ratio=draw(st.floats(0, 1)),
        hold_steps=draw(st.integers(0, max_steps)),
        stair_steps=draw(st.integers(1, 50)),
        stair_ratio=draw(st.floats(0, 1, exclude_min=True)),
    )
    return config, max_steps


def curve(config: ScheduleConfig, max_steps: int) -> list[float]:
    return [lr_ratio(config, step, max_steps) for step in range(max_steps)]


@settings(deadline=None)
@given(schedules())
def test_warm_up_rises_evenly_to_the_peak_and_nothing_rises_after_it(case):
    config, max_steps = case
    ratios = curve(config, max_steps)
    warm = ratios[: config.warmup_steps]
    assert warm == pytest.approx([(s + 1) / (config.warmup_steps + 1) for s in range(len(warm))])
    rest = ratios[config.warmup_steps :]
    assert all(a >= b for a, b in itertools.pairwise(rest))
    assert (
        not rest or rest[0] == 1.0 or (config.name == "stairs" and config.hold_steps <= config.warmup_steps)
    )
    assert all(config.min_lr_ratio - 1e-12 <= ratio <= 1.0 for ratio in rest)


@settings(deadline=None)
@given(schedules())
def test_the_last_step_gets_the_minimum_where_there_is_a_step_to_decay_over(case):
    config, max_steps = case
    assume(config.name != "stairs")
    assume(config.warmup_steps < max_steps - 1)
    assume(config.name == "cosine" or round(config.decay_fraction * max_steps) >= 1)
    assert lr_ratio(config, max_steps - 1, max_steps) == pytest.approx(config.min_lr_ratio)


@settings(deadline=None)
@given(schedules())
def test_no_step_jumps_further_than_the_steepest_slope(case):
    config, max_steps = case
    assume(config.name != "stairs")
    ratios = curve(config, max_steps)
    decay = max_steps - 1 - config.warmup_steps
    if config.name == "wsd":
        decay = min(decay, round(config.decay_fraction * max_steps))
    # pi / 2 is the steepest slope of half a cosine; a line's is one.
    slopes = [1 / (config.warmup_steps + 1), 2 / max(decay, 1)]
    assert all(abs(a - b) <= max(slopes) + 1e-12 for a, b in itertools.pairwise(ratios))


def test_hand_computed_values_of_a_cosine():
    config = ScheduleConfig(name="cosine", warmup_steps=2, min_lr_ratio=0.2)
    assert curve(config, 7) == pytest.approx(
        [1 / 3, 2 / 3, 1, 0.2 + 0.8 * (1 + 2**-0.5) / 2, 0.6, 0.2 + 0.8 * (1 - 2**-0.5) / 2, 0.2]
    )


def test_hand_computed_values_of_warm_up_stable_decay():
    config = ScheduleConfig(name="wsd", warmup_steps=1, decay_fraction=0.4, min_lr_ratio=0.0)
    assert curve(config, 10) == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])


def test_hand_computed_values_of_stairs():
    config = ScheduleConfig(
        name="stairs", warmup_steps=1, hold_steps=3, stair_steps=2, stair_ratio=0.5, min_lr_ratio=0.2
    )
    assert curve(config, 9) == [0.5, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]


def test_no_decay_holds_the_peak():
    assert curve(ScheduleConfig(name="wsd", decay_fraction=0.0), 5) == [1.0] * 5
