"""Attention in blocks and the written-down gradient of RMSNorm, against torch's own."""

import itertools

import pytest
import torch
from torch.nn import functional

from lmexp.models.layers.attention import BLOCK, _in_blocks, causal_attention, takes_blocks
from lmexp.models.layers.norm import RMSNorm


def random(*shape):
    values = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    return values.requires_grad_()


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 44])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (3, 1)])
@pytest.mark.parametrize("path", [causal_attention, _in_blocks], ids=["chosen", "blocks"])
def test_both_paths_give_values_and_gradients_of_weighted_means(path, length, heads, groups):
    q, k, v = random(2, length, heads, 8), random(2, length, groups, 8), random(2, length, groups, 8)
    direction = random(2, length, heads, 8).detach()
    k_all, v_all = (x.repeat_interleave(heads // groups, dim=2).transpose(1, 2) for x in (k, v))
    scores = q.transpose(1, 2) @ k_all.mT / 8**0.5
    weights = scores.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -torch.inf).softmax(-1)
    expected = weights @ v_all
    y = path(q, k, v)
    torch.testing.assert_close(y, expected.transpose(1, 2), rtol=1e-10, atol=1e-12)
    theirs = torch.autograd.grad((expected.transpose(1, 2) * direction).sum(), (q, k, v))
    ours = torch.autograd.grad((y * direction).sum(), (q, k, v))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_a_cpu_that_trains_in_bfloat16_takes_blocks_and_nothing_else_does():
    every = itertools.product(
        ("cpu", "cuda", "mps"), (torch.float32, torch.float64, torch.bfloat16), (True, False)
    )
    found = [case for case in every if takes_blocks(case[0], case[1], trains=case[2])]
    assert found == [("cpu", torch.bfloat16, True)]


@pytest.mark.parametrize("path", [causal_attention, _in_blocks], ids=["chosen", "blocks"])
def test_bfloat16_has_bfloat16s_accuracy_on_both_paths(path):
    q, k, v = (random(2, BLOCK + 9, heads, 8).detach() for heads in (4, 2, 2))
    found = path(*(x.bfloat16() for x in (q, k, v)))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), causal_attention(q, k, v), rtol=0.03, atol=0.03)


def test_attention_of_cached_keys_has_a_gradient_in_bfloat16_too():
    q, k, v = random(2, 3, 4, 8), random(2, 7, 2, 8), random(2, 7, 2, 8)
    half = [x.detach().bfloat16().requires_grad_() for x in (q, k, v)]
    (theirs,) = torch.autograd.grad(causal_attention(q, k, v).sum(), [v])
    (ours,) = torch.autograd.grad(causal_attention(*half).sum(), half[2:])
    torch.testing.assert_close(ours.double(), theirs, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 4, 6)])
def test_the_norm_gives_the_values_and_gradients_of_torchs_own(shape):
    norm = RMSNorm(shape[-1], eps=0.01).double()
    norm.weight.data = random(shape[-1]).detach()
    x, direction = random(*shape), random(*shape).detach()
    expected = functional.rms_norm(x, shape[-1:], norm.weight, 0.01)
    theirs = torch.autograd.grad((expected * direction).sum(), (x, norm.weight))
    ours = torch.autograd.grad((norm(x) * direction).sum(), (x, norm.weight))
    torch.testing.assert_close(norm(x), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_the_norm_of_bfloat16_has_bfloat16s_accuracy_where_squares_are_large():
    x = (random(4, 64) * 1e3).detach()
    norm = RMSNorm(64, eps=1e-6)
    y = norm(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), norm(x), rtol=0.02, atol=0.02)
