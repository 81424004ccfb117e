"""Attention in blocks and the written-down gradient of RMSNorm, against torch's own."""

import pytest
import torch
from torch.nn import functional

from lmexp.models.layers.attention import BLOCK, causal_attention
from lmexp.models.layers.norm import RMSNorm


def random(*shape):
    values = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    return values.requires_grad_()


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 44])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (3, 1)])
def test_blocks_give_the_values_and_gradients_of_the_fused_kernel(length, heads, groups):
    q, k, v = random(2, length, heads, 8), random(2, length, groups, 8), random(2, length, groups, 8)
    direction = random(2, length, heads, 8).detach()
    k_all, v_all = (x.repeat_interleave(heads // groups, dim=2).transpose(1, 2) for x in (k, v))
    expected = functional.scaled_dot_product_attention(q.transpose(1, 2), k_all, v_all, is_causal=True)
    y = causal_attention(q, k, v)
    torch.testing.assert_close(y, expected.transpose(1, 2), rtol=1e-10, atol=1e-12)
    theirs = torch.autograd.grad((expected.transpose(1, 2) * direction).sum(), (q, k, v))
    ours = torch.autograd.grad((y * direction).sum(), (q, k, v))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


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
