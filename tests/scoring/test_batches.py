"""Batches: everything once, the largest first, and within the budget wherever more than one is taken."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lmexp.scoring.batches import CPU_TOKENS, GPU_TOKENS, batches, token_budget

SHAPES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=40)


@given(SHAPES, st.integers(1, 500))
def test_each_is_in_one_batch_and_a_batch_of_several_fits(shapes, budget):
    def fits(rows, shape):
        return rows * sum(shape) <= budget

    found = list(batches(shapes, fits))
    assert sorted(i for batch in found for i in batch) == list(range(len(shapes)))
    for batch in found:
        padded = [max(shapes[i][k] for i in batch) for k in range(2)]
        assert len(batch) == 1 or len(batch) * sum(padded) <= budget
    sizes = [sum(shapes[i]) for batch in found for i in batch]
    assert sizes == sorted(sizes, reverse=True)


@given(SHAPES, st.integers(1, 500))
def test_a_batch_ends_only_where_the_next_one_does_not_fit(shapes, budget):
    found = list(batches(shapes, lambda rows, shape: rows * sum(shape) <= budget))
    for batch, following in pairwise(found):
        padded = [max(shapes[i][k] for i in [*batch, following[0]]) for k in range(2)]
        assert (len(batch) + 1) * sum(padded) > budget


def test_a_cpu_reads_fewer_tokens_at_once_than_a_gpu():
    assert token_budget("cpu") == CPU_TOKENS < token_budget("cuda") == GPU_TOKENS
