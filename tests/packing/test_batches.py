"""The order of the data: complete, repeatable, and the same however a batch is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.packing.batches import BatchOrder
from lmexp.packing.samples import StreamSamples


class ArrayTokens:
    """Tokens in memory; token i is a known function of i, so that positions can be read back."""

    def __init__(self, num_tokens: int) -> None:
        self.ids = np.arange(num_tokens, dtype=np.int64) * 7 + 3

    @property
    def num_tokens(self) -> int:
        return len(self.ids)

    def read(self, start: int, length: int) -> np.ndarray:
        assert start >= 0
        assert start + length <= len(self.ids)
        return self.ids[start : start + length]


@settings(max_examples=60, deadline=None)
@given(
    num_samples=st.integers(1, 40),
    batch=st.integers(1, 60),
    seed=st.integers(0, 2**63 - 1),
    epochs=st.integers(1, 4),
)
def test_every_epoch_visits_every_sample_once_whatever_the_batch_size(num_samples, batch, seed, epochs):
    order = BatchOrder(num_samples, batch, seed)
    steps = -(-num_samples * epochs // batch)
    stream = np.concatenate([order.sample_indices(step) for step in range(steps)])
    assert stream.dtype == np.int64
    for epoch in range(epochs):
        visited = stream[epoch * num_samples : (epoch + 1) * num_samples]
        assert sorted(visited) == list(range(num_samples))


@given(seed=st.integers(0, 2**63 - 1), steps=st.permutations(range(12)))
@settings(max_examples=30, deadline=None)
def test_a_step_has_the_same_samples_in_whatever_order_steps_are_asked_for(seed, steps):
    in_order = BatchOrder(7, 5, seed)
    expected = [in_order.sample_indices(step).tolist() for step in range(12)]
    shuffled = BatchOrder(7, 5, seed)
    for step in steps:
        assert shuffled.sample_indices(step).tolist() == expected[step]


def test_orders_differ_between_epochs_and_between_seeds():
    def epoch(seed: int, number: int) -> list[int]:
        return BatchOrder(100, 100, seed).sample_indices(number).tolist()

    orders = [epoch(seed, number) for seed in (0, 1, 2**40) for number in (0, 1)]
    assert len({tuple(o) for o in orders}) == len(orders)
    assert orders[0] != sorted(orders[0])


def test_the_order_of_seed_zero_is_pinned_because_artifacts_depend_on_it():
    assert BatchOrder(8, 8, 0).sample_indices(0).tolist() == [3, 6, 4, 0, 7, 5, 2, 1]
    assert BatchOrder(8, 8, 0).sample_indices(1).tolist() == [1, 4, 6, 5, 7, 3, 2, 0]


@pytest.mark.parametrize("num_tokens", [0, 1, 10])
def test_too_few_tokens_for_one_sample_are_refused_in_a_sentence(num_tokens):
    with pytest.raises(DataError, match=rf"holds {num_tokens} tokens.*context_length \(10\)"):
        StreamSamples(ArrayTokens(num_tokens), 10)
    assert StreamSamples(ArrayTokens(11), 10).num_samples == 1
