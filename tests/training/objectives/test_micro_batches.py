"""The micro-batches of all ranks are the global batch, cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.packing.batches import BatchOrder
from lmexp.packing.samples import StreamSamples
from lmexp.training.objectives.micro_batches import MicroBatches
from lmexp.training.objectives.next_token import NextToken
from tests.packing.test_batches import ArrayTokens

cuts = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))  # ranks, accumulation, micro-batch
NEXT = NextToken(None)


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
            NEXT,
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
        MicroBatches(samples, order, NEXT, rank=rank, world_size=2, micro_batch_size=1, max_steps=3)
        for rank in range(2)
    ]
    for step in range(3):
        items = [rank[step * 3 + i] for rank in ranks for i in range(3)]
        for item in items:
            assert item["input_ids"].dtype == item["labels"].dtype == torch.int64
            assert torch.equal(item["labels"], item["input_ids"] + 7)
            assert item["counts"] == {"next_token": sum(int((i["labels"] != -100).sum()) for i in items)}


def test_every_token_but_the_first_is_a_label_once_an_epoch():
    tokens = ArrayTokens(91)
    order = BatchOrder(9, 9, seed=0)
    samples = StreamSamples(tokens, 10)
    labels = MicroBatches(samples, order, NEXT, rank=0, world_size=1, micro_batch_size=9, max_steps=1)[0][
        "labels"
    ]
    assert sorted(labels.flatten().tolist()) == tokens.ids[1:].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=13, max_size=13))
def test_document_ids_begin_a_new_document_at_each_end_of_text(ids):
    tokens = ArrayTokens(0)
    tokens.ids = np.array(ids)
    order = BatchOrder(3, 3, seed=1)
    samples = StreamSamples(tokens, 4)
    cut = {"rank": 0, "world_size": 1, "micro_batch_size": 3, "max_steps": 1}
    batch = MicroBatches(samples, order, NextToken(0), **cut)[0]
    assert "document_ids" not in MicroBatches(samples, order, NEXT, **cut)[0]
    assert batch["document_ids"].dtype == torch.int64
    for inputs, documents in zip(batch["input_ids"].tolist(), batch["document_ids"].tolist(), strict=True):
        document = 0
        for token, found in zip(inputs, documents, strict=True):
            document += token == 0
            assert found == document


def test_an_index_past_the_last_step_is_refused():
    samples = StreamSamples(ArrayTokens(91), 10)
    batches = MicroBatches(
        samples,
        BatchOrder(9, 2, seed=0),
        NEXT,
        rank=0,
        world_size=1,
        micro_batch_size=1,
        max_steps=3,
    )
    with pytest.raises(IndexError):
        batches[6]


def test_a_step_is_counted_once_for_all_its_micro_batches_in_whatever_order_they_are_asked_for():
    class Counted(NextToken):
        asked = 0

        def counts(self, samples, indices, noise):
            Counted.asked += 1
            return super().counts(samples, indices, noise)

    samples, order = StreamSamples(ArrayTokens(91), 10), BatchOrder(9, 4, seed=0)
    batches = MicroBatches(
        samples, order, Counted(None), rank=0, world_size=1, micro_batch_size=1, max_steps=3
    )
    assert [batches[i]["counts"] for i in (0, 1, 2, 3, 8, 4)] == [{"next_token": 40}] * 6
    assert Counted.asked == 3
