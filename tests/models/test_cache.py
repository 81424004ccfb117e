"""A model that reads with a cache against the same model that reads everything at once."""

import pytest
import torch
from torch.nn import functional

from lmexp.errors import DataError
from lmexp.models.families import GPT2Config, GPTConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.models.layers.attention import BLOCK, causal_attention
from lmexp.models.network import CausalNetwork
from tests.models.families.qwen3.test_network import SHAPES, awake

GPT2 = GPT2Config(context_length=12, num_layers=2, num_heads=3, d_model=12)
shapes = pytest.mark.parametrize(
    "config", [*SHAPES, GPT2], ids=["grouped and tied", "ungrouped and untied", "gpt2"]
)


def cached_logits(model: CausalNetwork, ids: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    """Read `ids` in pieces of these lengths and return the logits at every time."""
    cache = model.new_state(len(ids))
    found = []
    for piece in ids.split(pieces, dim=1):
        found.append(model.logits(model.hidden_states(piece, state=cache)))
        assert cache.width == sum(logits.shape[1] for logits in found)
    return torch.cat(found, dim=1)


@shapes
@pytest.mark.parametrize("pieces", [[1] * 12, [7, 1, 1, 1, 1, 1], [3, 4, 5], [12]])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@torch.no_grad()
def test_cached_logits_equal_uncached_ones_at_every_step(config, pieces, dtype, atol):
    model = awake(config).to(dtype)
    ids = torch.randint(17, (3, 12), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cached_logits(model, ids, pieces), model(ids), rtol=1e-5, atol=atol)


@torch.no_grad()
def test_a_cache_longer_than_a_block_of_queries_changes_no_logit():
    config = GPTConfig(
        context_length=2 * BLOCK + 50, num_layers=2, num_heads=4, num_kv_heads=2, d_model=8, head_dim=4
    )
    model = awake(config)
    ids = torch.randint(17, (1, 2 * BLOCK + 50), generator=torch.Generator().manual_seed(0))
    pieces = [20, BLOCK + 29, 1, BLOCK]
    torch.testing.assert_close(cached_logits(model, ids, pieces), model(ids), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("num_queries", [1, 2, BLOCK + 7, 2 * BLOCK])
def test_few_queries_are_the_last_of_many(num_queries):
    q, k, v = torch.randn(3, 2, 2 * BLOCK, 4, 8, generator=torch.Generator().manual_seed(1)).double()
    k, v = k[:, :, :2], v[:, :, :2]
    repeated = [x.repeat_interleave(2, dim=2).transpose(1, 2) for x in (k, v)]
    expected = functional.scaled_dot_product_attention(q.transpose(1, 2), *repeated, is_causal=True)
    found = causal_attention(q[:, -num_queries:], k, v)
    torch.testing.assert_close(found, expected.transpose(1, 2)[:, -num_queries:], rtol=1e-10, atol=1e-12)


def test_a_cache_that_would_outgrow_the_context_is_refused_in_a_sentence():
    model = GPT(SHAPES[0], 17)
    cache = model.new_state(1)
    model.hidden_states(torch.zeros(1, 12, dtype=torch.int64), state=cache)
    with pytest.raises(DataError, match=r"at most 12 tokens and was given 13"):
        model.hidden_states(torch.zeros(1, 1, dtype=torch.int64), state=cache)
    assert cache.width == 12
