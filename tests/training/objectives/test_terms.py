"""The terms of a loss: each has a sum, a scalar, and a count, by one name."""

import pytest
import torch

from lmexp.errors import StageError
from lmexp.training.objectives.next_token import NextToken
from lmexp.training.objectives.objective import check_terms
from tests.training.pretrain_runs import run


def test_terms_that_have_a_sum_and_a_count_pass():
    check_terms({"a": torch.zeros(()), "b": torch.ones(())}, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("sums", "counts", "said"),
    [
        ({"a": torch.zeros(())}, {"a": 1, "b": 2}, "has the terms a and its counts have a, b"),
        ({"a": torch.zeros(()), "b": torch.zeros(())}, {"a": 1}, "has the terms a, b and its counts have a"),
        ({}, {"a": 1}, "has the terms none and its counts have a"),
        ({"a": torch.zeros(3, 2)}, {"a": 1}, r"loss\['a'\] must be a scalar.*shape \[3, 2\]"),
    ],
)
def test_terms_that_do_not_agree_are_one_sentence(sums, counts, said):
    with pytest.raises(StageError, match=said):
        check_terms(sums, counts)


def test_a_count_without_a_sum_ends_a_training_before_its_first_step(tmp_path, monkeypatch):
    counts = NextToken.counts
    monkeypatch.setattr(NextToken, "counts", lambda *a: {**counts(*a), "penalty": 1})
    with pytest.raises(StageError, match="terms next_token and its counts have next_token, penalty"):
        run({}, tmp_path)
