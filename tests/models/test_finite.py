"""Whether numbers are finite, and which are not."""

import pytest
import torch

from lmexp.models.finite import first_not_finite


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_one_bad_number_anywhere_is_found_by_the_name_of_its_tensor(bad, dtype):
    tensors = {"a": torch.zeros(3, 4), "empty": torch.zeros(0), "b": torch.full((2, 3), 9.0, dtype=dtype)}
    assert first_not_finite(tensors) is None
    tensors["b"][1, 2] = bad
    tensors["c"] = torch.tensor(bad)
    assert first_not_finite(tensors) == "b"


def test_the_largest_numbers_and_whole_numbers_are_finite_and_nothing_is_too():
    largest = {str(t): torch.full((9,), torch.finfo(t).max, dtype=t) for t in (torch.float16, torch.float32)}
    assert first_not_finite({**largest, "whole": torch.tensor([2**62])}) is None
    assert first_not_finite({}) is None
