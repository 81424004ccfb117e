"""The order of the data: complete, repeatable, and the same however a batch is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.packing.batches import BatchOrder, MicroBatches
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


cuts = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))  # ranks, accumulation, micro-batch


@settings(max_examples=60, deadline=None)
@given(cut=cuts, num_samples=st.integers(1, 30), seed=st.integers(0, 2**63 - 1), max_steps=st.integers(1, 5))
def test_ranks_and_micro_batches_together_are_exactly_the_global_batch(cut, num_samples, seed, max_steps):
    world_size, accumulation, micro = cut
    length, batch = 6, world_size * accumulation * micro
    tokens = ArrayTokens(num_samples * length + 1)
    order = BatchOrder(num_samples, batch, seed)
    ranks = [
        MicroBatches(
            StreamSamples(tokens, length),
            order,
            rank=rank,
            world_size=world_size,
            micro_batch_size=micro,
            max_steps=max_steps,
        )
        for rank in range(world_size)
    ]
    assert all(len(rank) == max_steps * accumulation for rank in ranks)
    for step in range(max_steps):
        parts = [rank[step * accumulation + i]["input_ids"] for rank in ranks for i in range(accumulation)]
        assert all(part.shape == (micro, length) for part in parts)
        starts = (torch.cat(parts)[:, 0].numpy() - 3) // 7
        uncut = BatchOrder(num_samples, batch, seed).sample_indices(step)
        assert starts.tolist() == (uncut * length).tolist()


def test_labels_are_the_next_tokens_and_the_count_is_that_of_the_global_batch():
    samples = StreamSamples(ArrayTokens(101), 10)
    order = BatchOrder(10, 6, seed=4)
    ranks = [
        MicroBatches(samples, order, rank=rank, world_size=2, micro_batch_size=1, max_steps=3)
        for rank in range(2)
    ]
    for step in range(3):
        items = [rank[step * 3 + i] for rank in ranks for i in range(3)]
        for item in items:
            assert item["input_ids"].dtype == item["labels"].dtype == torch.int64
            assert torch.equal(item["labels"], item["input_ids"] + 7)
            assert item["num_valid_tokens"] == sum(int((i["labels"] != -100).sum()) for i in items)


def test_every_token_but_the_first_is_a_label_once_an_epoch():
    tokens = ArrayTokens(91)
    order = BatchOrder(9, 9, seed=0)
    samples = StreamSamples(tokens, 10)
    labels = MicroBatches(samples, order, rank=0, world_size=1, micro_batch_size=9, max_steps=1)[0]["labels"]
    assert sorted(labels.flatten().tolist()) == tokens.ids[1:].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=13, max_size=13))
def test_document_ids_begin_a_new_document_at_each_end_of_text(ids):
    tokens = ArrayTokens(0)
    tokens.ids = np.array(ids)
    order = BatchOrder(3, 3, seed=1)
    samples = StreamSamples(tokens, 4)
    cut = {"rank": 0, "world_size": 1, "micro_batch_size": 3, "max_steps": 1}
    batch = MicroBatches(samples, order, **cut, eos_token_id=0)[0]
    assert "document_ids" not in MicroBatches(samples, order, **cut)[0]
    assert batch["document_ids"].dtype == torch.int64
    for inputs, documents in zip(batch["input_ids"].tolist(), batch["document_ids"].tolist(), strict=True):
        document = 0
        for token, found in zip(inputs, documents, strict=True):
            document += token == 0
            assert found == document


def test_an_index_past_the_last_step_is_refused():
    samples = StreamSamples(ArrayTokens(91), 10)
    batches = MicroBatches(
        samples, BatchOrder(9, 2, seed=0), rank=0, world_size=1, micro_batch_size=1, max_steps=3
    )
    with pytest.raises(IndexError):
        batches[6]


@pytest.mark.parametrize("num_tokens", [0, 1, 10])
def test_too_few_tokens_for_one_sample_are_refused_in_a_sentence(num_tokens):
    with pytest.raises(DataError, match=rf"holds {num_tokens} tokens.*context_length \(10\)"):
        StreamSamples(ArrayTokens(num_tokens), 10)
    assert StreamSamples(ArrayTokens(11), 10).num_samples == 1
