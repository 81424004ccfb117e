"""Noise is a function of seed, step and sample alone."""

from hypothesis import given
from hypothesis import strategies as st

from lmexp.training.objectives.noise import Noise

NUMBERS = st.integers(0, 2**40)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_the_same_three_numbers_draw_the_same_and_others_draw_others(seed, step, sample):
    drawn = Noise(seed, step).of(sample).random(4).tolist()
    assert drawn == Noise(seed, step).of(sample).random(4).tolist()
    for other in (
        Noise(seed + 1, step).of(sample),
        Noise(seed, step + 1).of(sample),
        Noise(seed, step).of(sample + 1),
        Noise(seed, step).masks_of(sample),
        Noise(seed, step).masks(),
    ):
        assert drawn != other.random(4).tolist()


@given(NUMBERS, NUMBERS, NUMBERS)
def test_what_a_network_drops_is_noise_of_its_own(seed, step, sample):
    noise = Noise(seed, step)
    drawn = noise.masks_of(sample).random(4).tolist()
    assert drawn == noise.masks_of(sample).random(4).tolist()
    for other in (
        noise.masks(),
        noise.masks_of(sample + 1),
        Noise(seed, step + 1).masks_of(sample),
        Noise(seed + 1, step).masks_of(sample),
    ):
        assert drawn != other.random(4).tolist()
